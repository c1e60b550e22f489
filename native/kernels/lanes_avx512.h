// Sixteen lanes as AVX-512 registers, byte products by AVX-512 VNNI. Included inside the variant's namespace.
// The meaning of each function is documented in lanes_generic.h.
enum { TILES_AT_ONCE = 2, ROWS = 6, SCORES = 24, SCORE_QUERIES = 12, MIX_QUERIES = 6, MIX_LANES = 4 };
static const int W8_OFFSET = 128;

struct Floats {
    __m512 v;
};
struct Ints {
    __m512i v;
};
struct Bytes {
    __m512i v;
};
struct Quad {
    __m512i v;
};

static inline Floats splat(float x) { return {_mm512_set1_ps(x)}; }
static inline Floats load(const float *p) { return {_mm512_loadu_ps(p)}; }
static inline void store(float *p, Floats x) { _mm512_storeu_ps(p, x.v); }
static inline Floats load_half(const uint16_t *p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))}; }
static inline void store_half(uint16_t *p, Floats x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline Floats load_bfloat(const uint16_t *p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
static inline Floats add(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline Floats sub(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline Floats mul(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline Floats div(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline Floats where_less(Floats a, Floats b, Floats x, Floats y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
static inline Floats max_magnitude(Floats a, Floats x) {
    __m512i bits = _mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(0x7fffffff));
    return {_mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a.v), bits))};
}
static inline float largest_magnitude(Floats x) {
    return float_from_bits((uint32_t)_mm512_reduce_max_epi32(_mm512_castps_si512(x.v)));
}
static inline float sum(Floats x) { return _mm512_reduce_add_ps(x.v); }
static inline float largest(Floats x) { return _mm512_reduce_max_ps(x.v); }

static inline Ints splat_ints(int x) { return {_mm512_set1_epi32(x)}; }
static inline Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
static inline int sum(Ints x) { return _mm512_reduce_add_epi32(x.v); }
static inline Ints round_to_ints(Floats x) { return {_mm512_cvtps_epi32(x.v)}; }
static inline Floats to_floats(Ints x) { return {_mm512_cvtepi32_ps(x.v)}; }
static inline Floats power_of_two(Ints n) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23))};
}
static inline void store_codes(int8_t *p, Ints x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x.v)); }
static inline Ints shift_left(Ints x, int n) { return {_mm512_slli_epi32(x.v, (unsigned)n)}; }
static inline void store_line(uint8_t *p, Ints x) { _mm512_storeu_si512(p, x.v); }

static inline Bytes load_line(const uint8_t *p) { return {_mm512_loadu_si512(p)}; }
static inline Bytes low_nibbles(Bytes x) { return {_mm512_and_si512(x.v, _mm512_set1_epi8(15))}; }
static inline Bytes high_nibbles(Bytes x) {
    return {_mm512_and_si512(_mm512_srli_epi16(x.v, 4), _mm512_set1_epi8(15))};
}
static inline Quad load_quad(const int8_t *p) {
    int quad;
    memcpy(&quad, p, 4);
    return {_mm512_set1_epi32(quad)};
}
static inline Ints dot(Ints a, Bytes w, Quad x) { return {_mm512_dpbusd_epi32(a.v, w.v, x.v)}; }
static inline Ints dot_w8(Ints a, Bytes w, Quad x) { return dot(a, w, x); }
static inline void prefetch(const void *p) { _mm_prefetch((const char *)p, _MM_HINT_T0); }
