// Sixteen lanes as four NEON registers, byte products by the dot product extension (ARMv8.2 and later). Included
// inside the variant's namespace. The meaning of each function is documented in lanes_generic.h.
enum { TILES_AT_ONCE = 1, ROWS = 4, SCORES = 4, SCORE_QUERIES = 4, MIX_QUERIES = 2, MIX_LANES = 2 };
static const int W8_OFFSET = 0;

#define MYNA_EACH_PART for (int i = 0; i < 4; i++)

struct Floats {
    float32x4_t v[4];
};
struct Ints {
    int32x4_t v[4];
};
struct Bytes {
    uint8x16_t v[4];
};
struct Quad {
    int8x16_t v;
};

static inline Floats splat(float x) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vdupq_n_f32(x);
    return r;
}
static inline Floats load(const float *p) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vld1q_f32(p + 4 * i);
    return r;
}
static inline void store(float *p, Floats x) { MYNA_EACH_PART vst1q_f32(p + 4 * i, x.v[i]); }
static inline Floats load_half(const uint16_t *p) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
    return r;
}
static inline void store_half(uint16_t *p, Floats x) {
    MYNA_EACH_PART vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
}
static inline Floats load_bfloat(const uint16_t *p) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
    return r;
}
static inline Floats add(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vaddq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats sub(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vsubq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats mul(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vmulq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats div(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vdivq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats fma(Floats a, Floats b, Floats c) {
    MYNA_EACH_PART c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
    return c;
}
static inline Floats max(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vmaxq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats min(Floats a, Floats b) {
    MYNA_EACH_PART a.v[i] = vminq_f32(a.v[i], b.v[i]);
    return a;
}
static inline Floats where_less(Floats a, Floats b, Floats x, Floats y) {
    MYNA_EACH_PART y.v[i] = vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]);
    return y;
}
static inline Floats max_magnitude(Floats a, Floats x) {
    MYNA_EACH_PART a.v[i] =
        vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(a.v[i]), vreinterpretq_u32_f32(vabsq_f32(x.v[i]))));
    return a;
}
static inline float largest_magnitude(Floats x) {
    uint32_t largest = 0;
    MYNA_EACH_PART {
        uint32_t part = vmaxvq_u32(vreinterpretq_u32_f32(x.v[i]));
        largest = part > largest ? part : largest;
    }
    return float_from_bits(largest);
}
static inline float sum(Floats x) {
    return vaddvq_f32(vaddq_f32(vaddq_f32(x.v[0], x.v[1]), vaddq_f32(x.v[2], x.v[3])));
}
static inline float largest(Floats x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[1]), vmaxq_f32(x.v[2], x.v[3])));
}

static inline Ints splat_ints(int x) {
    Ints r;
    MYNA_EACH_PART r.v[i] = vdupq_n_s32(x);
    return r;
}
static inline Ints add(Ints a, Ints b) {
    MYNA_EACH_PART a.v[i] = vaddq_s32(a.v[i], b.v[i]);
    return a;
}
static inline int sum(Ints x) { return vaddvq_s32(vaddq_s32(vaddq_s32(x.v[0], x.v[1]), vaddq_s32(x.v[2], x.v[3]))); }
static inline Ints round_to_ints(Floats x) {
    Ints r;
    MYNA_EACH_PART r.v[i] = vcvtnq_s32_f32(x.v[i]);
    return r;
}
static inline Floats to_floats(Ints x) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vcvtq_f32_s32(x.v[i]);
    return r;
}
static inline Floats power_of_two(Ints n) {
    Floats r;
    MYNA_EACH_PART r.v[i] = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n.v[i], vdupq_n_s32(127)), 23));
    return r;
}
static inline void store_codes(int8_t *p, Ints x) {
    int16x8_t low = vcombine_s16(vmovn_s32(x.v[0]), vmovn_s32(x.v[1]));
    int16x8_t high = vcombine_s16(vmovn_s32(x.v[2]), vmovn_s32(x.v[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
static inline Ints shift_left(Ints x, int n) {
    MYNA_EACH_PART x.v[i] = vshlq_s32(x.v[i], vdupq_n_s32(n));
    return x;
}
static inline void store_line(uint8_t *p, Ints x) { MYNA_EACH_PART vst1q_u8(p + 16 * i, vreinterpretq_u8_s32(x.v[i])); }

static inline Bytes load_line(const uint8_t *p) {
    Bytes r;
    MYNA_EACH_PART r.v[i] = vld1q_u8(p + 16 * i);
    return r;
}
static inline Bytes low_nibbles(Bytes x) {
    MYNA_EACH_PART x.v[i] = vandq_u8(x.v[i], vdupq_n_u8(15));
    return x;
}
static inline Bytes high_nibbles(Bytes x) {
    MYNA_EACH_PART x.v[i] = vshrq_n_u8(x.v[i], 4);
    return x;
}
static inline Quad load_quad(const int8_t *p) {
    int32_t quad;
    memcpy(&quad, p, 4);
    return {vreinterpretq_s8_s32(vdupq_n_s32(quad))};
}
static inline Ints dot(Ints a, Bytes w, Quad x) {
    MYNA_EACH_PART a.v[i] = vdotq_s32(a.v[i], vreinterpretq_s8_u8(w.v[i]), x.v);
    return a;
}
static inline Ints dot_w8(Ints a, Bytes w, Quad x) {
    MYNA_EACH_PART a.v[i] = vdotq_s32(a.v[i], vreinterpretq_s8_u8(veorq_u8(w.v[i], vdupq_n_u8(0x80))), x.v);
    return a;
}
static inline void prefetch(const void *p) {
#ifdef _MSC_VER
    __prefetch(p);
#else
    __builtin_prefetch(p);
#endif
}
