// Matrix products: a few tiles of 16 output rows by any number of activation rows. Included inside the variant's
// namespace, after its lanes.
//
// For each output the groups are summed in order, from the first to the last, each as
//     total += activation_scale * (scale * dot + minimum * sum)
// with dot exact in int32: the result does not depend on how many rows are computed together.

// How many bytes ahead of their use weights are fetched, for each row that the time until then goes to, and at most.
enum : size_t { AHEAD = 4096, FARTHEST = 8 * AHEAD };

// The weights to fetch while others are used: so many lines a group.
struct Ahead {
    const uint8_t *next;
    size_t lines;
};

static inline void fetch(Ahead &ahead) {
    for (size_t i = 0; i < ahead.lines; i++, ahead.next += 64) prefetch(ahead.next);
}

// The dot product of a group with codes that stand for code - offset, which is taken off in int32.
template <Format FORMAT> static inline Floats group_result(Ints dots, const uint8_t *p, const int32_t *sum) {
    if (FORMAT == Format::w4) {
        const uint16_t *halves = (const uint16_t *)(p + 256);
        Floats offset = mul(load_half(halves + 16), to_floats(splat_ints(*sum)));
        return fma(load_half(halves), to_floats(dots), offset);
    }
    return mul(load_half((const uint16_t *)(p + (FORMAT == Format::w8 ? 512 : 256))), to_floats(dots));
}

template <Format FORMAT> static inline int offset_of(int sum) {
    return FORMAT == Format::w4 ? 0 : FORMAT == Format::w4s ? -8 * sum : -W8_OFFSET * sum;
}

// TILES tiles by COUNT rows of int8 activations.
template <Format FORMAT, int TILES, int COUNT>
static inline void tile_codes(const uint8_t *p, int groups, const int8_t *codes, const float *scales,
                              const int32_t *sums, float *out, size_t stride, Ahead &ahead) {
    const size_t apart = group_bytes(FORMAT) * (size_t)groups;
    Floats totals[TILES][COUNT];
    for (int t = 0; t < TILES; t++)
        for (int r = 0; r < COUNT; r++) totals[t][r] = splat(0);
    for (int group = 0; group < groups; group++, p += group_bytes(FORMAT), codes += GROUP) {
        fetch(ahead);
        Ints dots[TILES][COUNT];
        for (int r = 0; r < COUNT; r++) {
            Ints first = splat_ints(offset_of<FORMAT>(sums[(size_t)r * groups + group]));
            for (int t = 0; t < TILES; t++) dots[t][r] = first;
        }
        for (int j = 0; j < (FORMAT == Format::w8 ? 8 : 4); j++) {
            Bytes low[TILES], high[TILES];
            for (int t = 0; t < TILES; t++) {
                Bytes line = load_line(p + t * apart + 64 * j);
                low[t] = FORMAT == Format::w8 ? line : low_nibbles(line);
                if (FORMAT != Format::w8) high[t] = high_nibbles(line);
            }
            for (int r = 0; r < COUNT; r++) {
                const int8_t *x = codes + (size_t)r * groups * GROUP + 4 * j;
                const Quad first = load_quad(x);
                for (int t = 0; t < TILES; t++)
                    dots[t][r] =
                        FORMAT == Format::w8 ? dot_w8(dots[t][r], low[t], first) : dot(dots[t][r], low[t], first);
                if (FORMAT == Format::w8) continue;
                const Quad second = load_quad(x + 16);
                for (int t = 0; t < TILES; t++) dots[t][r] = dot(dots[t][r], high[t], second);
            }
        }
        for (int r = 0; r < COUNT; r++) {
            size_t at = (size_t)r * groups + group;
            const Floats scale = splat(scales[at]);
            for (int t = 0; t < TILES; t++)
                totals[t][r] = fma(scale, group_result<FORMAT>(dots[t][r], p + t * apart, sums + at), totals[t][r]);
        }
    }
    for (int t = 0; t < TILES; t++)
        for (int r = 0; r < COUNT; r++) store(out + r * stride + TILE * t, totals[t][r]);
}

// The same of float activations; a group is summed alone first, which keeps long sums accurate.
template <Format FORMAT, int TILES, int COUNT>
static inline void tile_floats(const uint8_t *p, int groups, const float *x, float *out, size_t stride, Ahead &ahead) {
    const size_t apart = group_bytes(FORMAT) * (size_t)groups;
    Floats totals[TILES][COUNT];
    for (int t = 0; t < TILES; t++)
        for (int r = 0; r < COUNT; r++) totals[t][r] = splat(0);
    for (int group = 0; group < groups; group++, p += group_bytes(FORMAT), x += GROUP) {
        fetch(ahead);
        Floats parts[TILES][COUNT];
        for (int t = 0; t < TILES; t++)
            for (int r = 0; r < COUNT; r++) parts[t][r] = splat(0);
        for (int column = 0; column < GROUP; column++) {
            Floats w[TILES];
            for (int t = 0; t < TILES; t++) {
                const uint8_t *line = p + t * apart;
                w[t] = FORMAT == Format::bf16 ? load_bfloat((const uint16_t *)line + 16 * column)
                                              : load((const float *)line + 16 * column);
            }
            for (int r = 0; r < COUNT; r++) {
                const Floats y = splat(x[(size_t)r * groups * GROUP + column]);
                for (int t = 0; t < TILES; t++) parts[t][r] = fma(w[t], y, parts[t][r]);
            }
        }
        for (int t = 0; t < TILES; t++)
            for (int r = 0; r < COUNT; r++) totals[t][r] = add(totals[t][r], parts[t][r]);
    }
    for (int t = 0; t < TILES; t++)
        for (int r = 0; r < COUNT; r++) store(out + r * stride + TILE * t, totals[t][r]);
}

template <Format FORMAT, int TILES, int COUNT>
static void tile_rows(const uint8_t *p, const Activations &x, int row, float *out, size_t stride, Ahead &ahead) {
    size_t at = (size_t)row * x.groups;
    if (takes_codes(FORMAT))
        tile_codes<FORMAT, TILES, COUNT>(p, x.groups, x.codes + at * GROUP, x.scales + at, x.sums + at, out, stride,
                                         ahead);
    else tile_floats<FORMAT, TILES, COUNT>(p, x.groups, x.floats + at * GROUP, out, stride, ahead);
}

template <Format FORMAT, int TILES, int COUNT>
static void tile_count(const uint8_t *p, const Activations &x, int row, int count, float *out, size_t stride,
                       Ahead &ahead) {
    if (count == COUNT) tile_rows<FORMAT, TILES, COUNT>(p, x, row, out, stride, ahead);
    else if constexpr (COUNT > 1) tile_count<FORMAT, TILES, COUNT - 1>(p, x, row, count, out, stride, ahead);
}

// TILES tiles by all rows, in blocks of about the same size, which share the fetching of what comes next.
template <Format FORMAT, int TILES>
static void tiles_of(const uint8_t *p, const Activations &x, int first_row, int last_row, float *out, size_t stride) {
    const size_t rows = (size_t)(last_row - first_row), blocks = (rows + ROWS - 1) / ROWS;
    const size_t distance = AHEAD * rows < FARTHEST ? AHEAD * rows : FARTHEST, share = 64 * blocks;
    Ahead ahead = {p + distance, (group_bytes(FORMAT) * TILES + share - 1) / share};
    for (size_t block = 0, row = 0; block < blocks; block++) {
        const size_t count = rows / blocks + (block < rows % blocks);
        tile_count<FORMAT, TILES, ROWS>(p, x, first_row + (int)row, (int)count, out + row * stride, stride, ahead);
        row += count;
    }
}

template <Format FORMAT>
static void product_of(const Matrix &matrix, const Activations &x, int first_tile, int last_tile, int first_row,
                       int last_row, float *out, size_t stride) {
    const size_t bytes = group_bytes(FORMAT) * (size_t)x.groups;
    const uint8_t *p = matrix.data + first_tile * bytes;
    for (int tile = first_tile; tile < last_tile;) {
        // Memory likes few rows' weights in one stream.
        const int count = last_tile - tile < TILES_AT_ONCE || last_row - first_row <= ROWS ? 1 : (int)TILES_AT_ONCE;
        if (count > 1) tiles_of<FORMAT, TILES_AT_ONCE>(p, x, first_row, last_row, out, stride);
        else tiles_of<FORMAT, 1>(p, x, first_row, last_row, out, stride);
        tile += count, out += count * TILE, p += count * bytes;
    }
}

static void product(const Matrix &matrix, const Activations &x, int first_tile, int last_tile, int first_row,
                    int last_row, float *out, size_t stride) {
    switch (matrix.format) {
        case Format::w4:
            return product_of<Format::w4>(matrix, x, first_tile, last_tile, first_row, last_row, out, stride);
        case Format::w4s:
            return product_of<Format::w4s>(matrix, x, first_tile, last_tile, first_row, last_row, out, stride);
        case Format::w8:
            return product_of<Format::w8>(matrix, x, first_tile, last_tile, first_row, last_row, out, stride);
        case Format::bf16:
            return product_of<Format::bf16>(matrix, x, first_tile, last_tile, first_row, last_row, out, stride);
        case Format::f32:
            return product_of<Format::f32>(matrix, x, first_tile, last_tile, first_row, last_row, out, stride);
    }
}
