// Matrix products: a few tiles of 16 output rows by any number of activation rows. Included inside the variant's
// namespace, after its lanes.
//
// For each output the groups are summed in order, from the first to the last, each as
//     total += activation_scale * (scale * dot + minimum * sum)
// with dot exact in int32: the result does not depend on how many rows are computed together.

// Weight bytes to fetch ahead of use, by the first rows that use them (`fresh`).
enum { AHEAD = 2048 };

template <Format FORMAT> static inline Floats group_result(Ints dots, const uint8_t *p, const float *sum) {
    if (FORMAT == Format::w4) {
        const uint16_t *halves = (const uint16_t *)(p + 256);
        return fma(load_half(halves), to_floats(dots), mul(load_half(halves + 16), splat(*sum)));
    }
    const uint16_t *halves = (const uint16_t *)(p + (FORMAT == Format::w8 ? 512 : 256));
    const float offset = FORMAT == Format::w8 ? W8_OFFSET : 8;
    return mul(load_half(halves), fma(splat(-offset), splat(*sum), to_floats(dots)));
}

// One tile by COUNT rows of int8 activations.
template <Format FORMAT, int COUNT>
static inline void tile_codes(const uint8_t *p, int groups, const int8_t *codes, const float *scales, const float *sums,
                              float *out, size_t stride, bool fresh) {
    Floats totals[COUNT];
    for (int r = 0; r < COUNT; r++) totals[r] = splat(0);
    for (int group = 0; group < groups; group++, p += group_bytes(FORMAT), codes += GROUP) {
        for (size_t line = 0; fresh && line < group_bytes(FORMAT); line += 64) prefetch(p + AHEAD + line);
        Ints dots[COUNT];
        for (int r = 0; r < COUNT; r++) dots[r] = splat_ints(0);
        if (FORMAT == Format::w8) {
            for (int j = 0; j < 8; j++) {
                Bytes line = load_line(p + 64 * j);
                for (int r = 0; r < COUNT; r++)
                    dots[r] = dot_w8(dots[r], line, codes + (size_t)r * groups * GROUP + 4 * j);
            }
        } else {
            for (int j = 0; j < 4; j++) {
                Bytes line = load_line(p + 64 * j), low = low_nibbles(line), high = high_nibbles(line);
                for (int r = 0; r < COUNT; r++) {
                    const int8_t *x = codes + (size_t)r * groups * GROUP + 4 * j;
                    dots[r] = dot(dot(dots[r], low, x), high, x + 16);
                }
            }
        }
        for (int r = 0; r < COUNT; r++) {
            size_t at = (size_t)r * groups + group;
            totals[r] = fma(splat(scales[at]), group_result<FORMAT>(dots[r], p, sums + at), totals[r]);
        }
    }
    for (int r = 0; r < COUNT; r++) store(out + r * stride, totals[r]);
}

// One tile by COUNT rows of float activations; a group is summed alone first, which keeps long sums accurate.
template <Format FORMAT, int COUNT>
static inline void tile_floats(const uint8_t *p, int groups, const float *x, float *out, size_t stride) {
    Floats totals[COUNT];
    for (int r = 0; r < COUNT; r++) totals[r] = splat(0);
    for (int group = 0; group < groups; group++, p += group_bytes(FORMAT), x += GROUP) {
        Floats parts[COUNT];
        for (int r = 0; r < COUNT; r++) parts[r] = splat(0);
        for (int column = 0; column < GROUP; column++) {
            Floats w = FORMAT == Format::bf16 ? load_bfloat((const uint16_t *)p + 16 * column)
                                              : load((const float *)p + 16 * column);
            for (int r = 0; r < COUNT; r++) parts[r] = fma(w, splat(x[(size_t)r * groups * GROUP + column]), parts[r]);
        }
        for (int r = 0; r < COUNT; r++) totals[r] = add(totals[r], parts[r]);
    }
    for (int r = 0; r < COUNT; r++) store(out + r * stride, totals[r]);
}

template <Format FORMAT, int COUNT>
static void tile_rows(const uint8_t *p, const Activations &x, int row, float *out, size_t stride, bool fresh) {
    size_t at = (size_t)row * x.groups;
    if (takes_codes(FORMAT))
        tile_codes<FORMAT, COUNT>(p, x.groups, x.codes + at * GROUP, x.scales + at, x.sums + at, out, stride, fresh);
    else tile_floats<FORMAT, COUNT>(p, x.groups, x.floats + at * GROUP, out, stride);
}

// The last, incomplete block of rows.
template <Format FORMAT, int COUNT>
static void tile_rest(const uint8_t *p, const Activations &x, int row, int count, float *out, size_t stride,
                      bool fresh) {
    if (count == COUNT) tile_rows<FORMAT, COUNT>(p, x, row, out, stride, fresh);
    else if constexpr (COUNT > 1) tile_rest<FORMAT, COUNT - 1>(p, x, row, count, out, stride, fresh);
}

template <Format FORMAT>
static void product_of(const Matrix &matrix, const Activations &x, int first_tile, int last_tile, int first_row,
                       int last_row, float *out, size_t stride) {
    for (int row = first_row; row < last_row; row += ROWS) {
        float *to = out + (size_t)(row - first_row) * stride;
        for (int tile = first_tile; tile < last_tile; tile++, to += TILE) {
            const uint8_t *p = matrix.data + tile * (group_bytes(FORMAT) * (size_t)x.groups);
            if (last_row - row >= ROWS) tile_rows<FORMAT, ROWS>(p, x, row, to, stride, row == first_row);
            else tile_rest<FORMAT, ROWS>(p, x, row, last_row - row, to, stride, row == first_row);
        }
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
