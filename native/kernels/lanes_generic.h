// Sixteen lanes in plain C++, for any processor: what every other lanes_*.h must mean. Included inside the variant's
// namespace.

// How many tiles and rows a product, queries a score and queries and registers a value sum work on at once: as many as
// the instruction set has registers for.
enum { TILES_AT_ONCE = 1, ROWS = 2, SCORES = 2, SCORE_QUERIES = 2, MIX_QUERIES = 1, MIX_LANES = 1 };
// What dot_w8 leaves for the caller to subtract, a unit of the activations' sum.
static const int W8_OFFSET = 128;

#define MYNA_EACH_LANE for (int i = 0; i < 16; i++)

struct Floats {
    float v[16];
};
struct Ints {
    int32_t v[16];
};
struct Bytes {
    uint8_t v[64];
};
struct Quad {
    int8_t v[4];
};

static inline Floats splat(float x) {
    Floats r;
    MYNA_EACH_LANE r.v[i] = x;
    return r;
}
static inline Floats load(const float *p) {
    Floats r;
    memcpy(r.v, p, 64);
    return r;
}
static inline void store(float *p, Floats x) { memcpy(p, x.v, 64); }
static inline Floats load_half(const uint16_t *p) {
    Floats r;
    MYNA_EACH_LANE r.v[i] = half_to_float(p[i]);
    return r;
}
static inline void store_half(uint16_t *p, Floats x) { MYNA_EACH_LANE p[i] = float_to_half(x.v[i]); }
static inline Floats load_bfloat(const uint16_t *p) {
    Floats r;
    MYNA_EACH_LANE r.v[i] = bfloat_to_float(p[i]);
    return r;
}
static inline Floats add(Floats a, Floats b) {
    MYNA_EACH_LANE a.v[i] += b.v[i];
    return a;
}
static inline Floats sub(Floats a, Floats b) {
    MYNA_EACH_LANE a.v[i] -= b.v[i];
    return a;
}
static inline Floats mul(Floats a, Floats b) {
    MYNA_EACH_LANE a.v[i] *= b.v[i];
    return a;
}
static inline Floats div(Floats a, Floats b) {
    MYNA_EACH_LANE a.v[i] /= b.v[i];
    return a;
}
// a * b + c, rounded once or twice as the instruction set can.
static inline Floats fma(Floats a, Floats b, Floats c) {
    MYNA_EACH_LANE c.v[i] += a.v[i] * b.v[i];
    return c;
}
// A NaN in the second argument stays.
static inline Floats max(Floats a, Floats b) {
    MYNA_EACH_LANE b.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return b;
}
static inline Floats min(Floats a, Floats b) {
    MYNA_EACH_LANE b.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
    return b;
}
// a < b ? x : y.
static inline Floats where_less(Floats a, Floats b, Floats x, Floats y) {
    MYNA_EACH_LANE y.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
    return y;
}
// max(a, |x|) by comparing bits, for a that came from here: NaN counts as larger than infinity and so stays.
static inline Floats max_magnitude(Floats a, Floats x) {
    MYNA_EACH_LANE {
        uint32_t bits = bits_from_float(x.v[i]) & 0x7fffffffu;
        a.v[i] = float_from_bits(bits > bits_from_float(a.v[i]) ? bits : bits_from_float(a.v[i]));
    }
    return a;
}
// The largest lane of a result of max_magnitude.
static inline float largest_magnitude(Floats x) {
    uint32_t largest = 0;
    MYNA_EACH_LANE largest = bits_from_float(x.v[i]) > largest ? bits_from_float(x.v[i]) : largest;
    return float_from_bits(largest);
}
static inline float sum(Floats x) {
    float s = 0;
    MYNA_EACH_LANE s += x.v[i];
    return s;
}
static inline float largest(Floats x) {
    float m = x.v[0];
    MYNA_EACH_LANE m = m > x.v[i] ? m : x.v[i];
    return m;
}

static inline Ints splat_ints(int x) {
    Ints r;
    MYNA_EACH_LANE r.v[i] = x;
    return r;
}
static inline Ints add(Ints a, Ints b) {
    MYNA_EACH_LANE a.v[i] += b.v[i];
    return a;
}
static inline int sum(Ints x) {
    int s = 0;
    MYNA_EACH_LANE s += x.v[i];
    return s;
}
// To nearest, ties to even, by the size of 1.5 * 2^23, whose last bit is worth one; for |x| < 2^22.
static inline Ints round_to_ints(Floats x) {
    Ints r;
    MYNA_EACH_LANE r.v[i] = (int32_t)(bits_from_float(x.v[i] + 12582912.0f) - 0x4b400000u);
    return r;
}
static inline Floats to_floats(Ints x) {
    Floats r;
    MYNA_EACH_LANE r.v[i] = (float)x.v[i];
    return r;
}
// 2^n for -127 < n < 128.
static inline Floats power_of_two(Ints n) {
    Floats r;
    MYNA_EACH_LANE r.v[i] = float_from_bits((uint32_t)(n.v[i] + 127) << 23);
    return r;
}
// Sixteen integers of -127 … 127 as bytes.
static inline void store_codes(int8_t *p, Ints x) { MYNA_EACH_LANE p[i] = (int8_t)x.v[i]; }
static inline Ints shift_left(Ints x, int n) {
    MYNA_EACH_LANE x.v[i] = (int32_t)((uint32_t)x.v[i] << n);
    return x;
}
// Four bytes a lane.
static inline void store_line(uint8_t *p, Ints x) { memcpy(p, x.v, 64); }

// One line of packed weights: four bytes a lane.
static inline Bytes load_line(const uint8_t *p) {
    Bytes r;
    memcpy(r.v, p, 64);
    return r;
}
static inline Bytes low_nibbles(Bytes x) {
    for (int i = 0; i < 64; i++) x.v[i] &= 15;
    return x;
}
static inline Bytes high_nibbles(Bytes x) {
    for (int i = 0; i < 64; i++) x.v[i] >>= 4;
    return x;
}
// Four codes of an activation row.
static inline Quad load_quad(const int8_t *p) {
    Quad r;
    memcpy(r.v, p, 4);
    return r;
}
// a + w . x of four bytes a lane, the same four x for all lanes; w is 0 … 15.
static inline Ints dot(Ints a, Bytes w, Quad x) {
    MYNA_EACH_LANE {
        const uint8_t *q = w.v + 4 * i;
        a.v[i] += q[0] * x.v[0] + q[1] * x.v[1] + q[2] * x.v[2] + q[3] * x.v[3];
    }
    return a;
}
// The same for w of 0 … 255, standing for w - 128; see W8_OFFSET.
static inline Ints dot_w8(Ints a, Bytes w, Quad x) { return dot(a, w, x); }
static inline void prefetch(const void *) {}
