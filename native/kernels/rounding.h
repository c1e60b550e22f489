// Floats to the groups of w4, w4s and w8: sixteen rows at once, a lane a row. Included inside the variant's namespace,
// after its lanes. Nothing is fused, so that every instruction set rounds alike.

// The float16 nearest to each lane.
static inline Floats halved(Floats x) {
    uint16_t halves[16];
    store_half(halves, x);
    return load_half(halves);
}

// (x - minimum) / scale as whole numbers of 0 … largest; NaN, which only a scale of 0 makes of finite values, is 0.
static inline Floats codes_of(Floats x, Floats minimum, Floats inverse, float largest) {
    Floats code = max(mul(sub(x, minimum), inverse), splat(0));
    return to_floats(round_to_ints(min(code, splat(largest))));
}

struct Fit {
    Floats scale, minimum, error;
};

// The squared error of 4-bit codes.
static inline Fit judge(const float *x, int count, Floats scale, Floats minimum) {
    const Floats inverse = div(splat(1), scale);
    Fit fit = {scale, minimum, splat(0)};
    for (int i = 0; i < count; i++) {
        Floats value = load(x + 16 * i), code = codes_of(value, minimum, inverse, 15);
        Floats miss = sub(value, add(mul(scale, code), minimum));
        fit.error = add(fit.error, mul(miss, miss));
    }
    return fit;
}

static inline Fit better(const Fit &a, const Fit &b) {  // NaN is never better
    return {where_less(a.error, b.error, a.scale, b.scale), where_less(a.error, b.error, a.minimum, b.minimum),
            where_less(a.error, b.error, a.error, b.error)};
}

// Codes 0 … 15 times scale plus minimum: spread the range over slightly more or fewer steps than 15, then refit scale
// and minimum by least squares to the codes that this gives; keep the best.
static Fit fit_with_minimum(const float *x, int count) {
    Floats low = load(x), high = low;
    for (int i = 1; i < count; i++) low = min(low, load(x + 16 * i)), high = max(high, load(x + 16 * i));
    const Floats range = sub(high, low), number = splat((float)count);
    Fit best = judge(x, count, halved(mul(range, splat(1 / 15.0f))), halved(low));
    for (float steps = 13.5f; steps < 16.5f; steps += 0.25f) {
        const Floats inverse = div(splat(steps), range);
        Floats codes = splat(0), squares = codes, values = codes, products = codes;
        for (int i = 0; i < count; i++) {
            Floats value = load(x + 16 * i), code = codes_of(value, low, inverse, 15);
            codes = add(codes, code), squares = add(squares, mul(code, code));
            values = add(values, value), products = add(products, mul(code, value));
        }
        Floats spread = sub(mul(number, squares), mul(codes, codes));
        Floats scale = div(sub(mul(number, products), mul(codes, values)), spread);
        Floats minimum = mul(sub(values, mul(scale, codes)), splat(1 / (float)count));
        best = better(judge(x, count, halved(scale), halved(minimum)), best);
    }
    return best;
}

// Codes -8 … 7 times scale: the value of largest magnitude becomes about -8, whatever its sign.
static Fit fit_symmetric(const float *x, int count) {
    Floats low = load(x), high = low;
    for (int i = 1; i < count; i++) low = min(low, load(x + 16 * i)), high = max(high, load(x + 16 * i));
    const Floats extreme = where_less(sub(splat(0), low), high, high, low);
    Fit best = {splat(0), splat(0), splat(INFINITY)};
    for (float steps = 6.5f; steps < 9; steps += 0.125f) {
        const Floats scale = mul(extreme, splat(-1 / steps)), inverse = div(splat(1), scale);
        Floats squares = splat(0), products = squares;
        for (int i = 0; i < count; i++) {
            Floats value = load(x + 16 * i);
            Floats code = sub(codes_of(value, mul(scale, splat(-8)), inverse, 15), splat(8));
            squares = add(squares, mul(code, code)), products = add(products, mul(code, value));
        }
        const Floats refit = halved(div(products, squares));
        best = better(judge(x, count, refit, mul(refit, splat(-8))), best);
    }
    return best;
}

// One line of a group: four columns of each row, and for w4 and w4s the four that lie 16 columns on.
static inline Ints code_line(const float *x, int count, int column, Floats minimum, Floats inverse, float largest) {
    Ints line = splat_ints(0);
    for (int i = 0; i < 4 && column + i < count; i++) {
        Floats code = codes_of(load(x + 16 * (column + i)), minimum, inverse, largest);
        line = add(line, shift_left(round_to_ints(code), 8 * i));
    }
    return line;
}

// Sixteen rows of `count` values (x: [count][16]) as one group. Returns false when a value, or the scale that it asks
// for, is not finite.
static bool round_group(Format format, const float *x, int count, uint8_t *group) {
    Floats poison = splat(0);  // 0 times a value is 0 unless it is infinite or NaN
    for (int i = 0; i < count; i++) poison = add(poison, mul(load(x + 16 * i), splat(0)));
    Floats scale, minimum;
    if (format == Format::w8) {
        Floats size = splat(0);
        for (int i = 0; i < count; i++) size = max_magnitude(size, load(x + 16 * i));
        scale = halved(mul(size, splat(1 / 127.0f)));
        minimum = mul(scale, splat(-128));
    } else {
        const Fit fit = format == Format::w4 ? fit_with_minimum(x, count) : fit_symmetric(x, count);
        scale = fit.scale, minimum = fit.minimum;
    }
    const Floats inverse = div(splat(1), scale);
    const int lines = format == Format::w8 ? 8 : 4;
    for (int j = 0; j < lines; j++) {
        Ints line = code_line(x, count, 4 * j, minimum, inverse, format == Format::w8 ? 255 : 15);
        if (lines == 4) line = add(line, shift_left(code_line(x, count, 16 + 4 * j, minimum, inverse, 15), 4));
        store_line(group + 64 * j, line);
    }
    uint16_t *halves = (uint16_t *)(group + 64 * lines);
    store_half(halves, scale);
    if (format == Format::w4) store_half(halves + 16, minimum);
    return sum(add(poison, mul(add(scale, minimum), splat(0)))) == 0;
}
