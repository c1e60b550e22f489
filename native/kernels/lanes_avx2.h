// Sixteen lanes as two AVX2 registers; with MYNA_VNNI the byte products use AVX-VNNI. Included inside the variant's
// namespace. The meaning of each function is documented in lanes_generic.h.
enum { TILES_AT_ONCE = 1, ROWS = 4, SCORES = 4, SCORE_QUERIES = 4, MIX_QUERIES = 2, MIX_LANES = 2 };
#ifdef MYNA_VNNI
static const int W8_OFFSET = 128;
#else
static const int W8_OFFSET = 0;
#endif

struct Floats {
    __m256 a, b;
};
struct Ints {
    __m256i a, b;
};
struct Bytes {
    __m256i a, b;
};
struct Quad {
    __m256i v;
};

static inline Floats splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline Floats load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void store(float *p, Floats x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
static inline Floats load_half(const uint16_t *p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
            _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}
static inline void store_half(uint16_t *p, Floats x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline __m256 widen_bfloat(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline Floats load_bfloat(const uint16_t *p) { return {widen_bfloat(p), widen_bfloat(p + 8)}; }
static inline Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
static inline Floats sub(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
static inline Floats mul(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
static inline Floats div(Floats x, Floats y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
static inline Floats fma(Floats x, Floats y, Floats z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
static inline Floats max(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
static inline Floats min(Floats x, Floats y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
static inline Floats where_less(Floats l, Floats r, Floats x, Floats y) {
    return {_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(l.a, r.a, _CMP_LT_OQ)),
            _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(l.b, r.b, _CMP_LT_OQ))};
}
static inline __m256 max_bits(__m256 a, __m256 x) {
    __m256i bits = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), bits));
}
static inline Floats max_magnitude(Floats x, Floats y) { return {max_bits(x.a, y.a), max_bits(x.b, y.b)}; }
static inline float largest_magnitude(Floats x) {
    __m256i m = _mm256_max_epi32(_mm256_castps_si256(x.a), _mm256_castps_si256(x.b));
    __m128i n = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    n = _mm_max_epi32(n, _mm_shuffle_epi32(n, 0x4e));
    n = _mm_max_epi32(n, _mm_shuffle_epi32(n, 0xb1));
    return float_from_bits((uint32_t)_mm_cvtsi128_si32(n));
}
static inline float sum(Floats x) {
    __m256 m = _mm256_add_ps(x.a, x.b);
    __m128 n = _mm_add_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    n = _mm_add_ps(n, _mm_movehl_ps(n, n));
    return _mm_cvtss_f32(_mm_add_ss(n, _mm_shuffle_ps(n, n, 1)));
}
static inline float largest(Floats x) {
    __m256 m = _mm256_max_ps(x.a, x.b);
    __m128 n = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    n = _mm_max_ps(n, _mm_movehl_ps(n, n));
    return _mm_cvtss_f32(_mm_max_ss(n, _mm_shuffle_ps(n, n, 1)));
}

static inline Ints splat_ints(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
static inline Ints add(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
static inline int sum(Ints x) {
    __m256i m = _mm256_add_epi32(x.a, x.b);
    __m128i n = _mm_add_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    n = _mm_add_epi32(n, _mm_shuffle_epi32(n, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(n, _mm_shuffle_epi32(n, 0xb1)));
}
static inline Ints round_to_ints(Floats x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
static inline Floats to_floats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
static inline Floats power_of_two(Ints n) {
    const __m256i bias = _mm256_set1_epi32(127);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.a, bias), 23)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.b, bias), 23))};
}
static inline void store_codes(int8_t *p, Ints x) {
    __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(x.a), _mm256_extracti128_si256(x.a, 1));
    __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(x.b), _mm256_extracti128_si256(x.b, 1));
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(low, high));
}
static inline Ints shift_left(Ints x, int n) { return {_mm256_slli_epi32(x.a, n), _mm256_slli_epi32(x.b, n)}; }
static inline void store_line(uint8_t *p, Ints x) {
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)(p + 32), x.b);
}

static inline Bytes load_line(const uint8_t *p) {
    return {_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 32))};
}
static inline __m256i low_half(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
static inline Bytes low_nibbles(Bytes x) { return {low_half(x.a), low_half(x.b)}; }
static inline Bytes high_nibbles(Bytes x) {
    return {low_half(_mm256_srli_epi16(x.a, 4)), low_half(_mm256_srli_epi16(x.b, 4))};
}
static inline Quad load_quad(const int8_t *p) {
    int quad;
    memcpy(&quad, p, 4);
    return {_mm256_set1_epi32(quad)};
}
#ifdef MYNA_VNNI
static inline Ints dot(Ints s, Bytes w, Quad x) {
    return {_mm256_dpbusd_avx_epi32(s.a, w.a, x.v), _mm256_dpbusd_avx_epi32(s.b, w.b, x.v)};
}
static inline Ints dot_w8(Ints s, Bytes w, Quad x) { return dot(s, w, x); }
#else
// Pairs of byte products meet in 16 bits first: 2 * 15 * 127 fits.
static inline __m256i dot_half(__m256i s, __m256i w, __m256i x) {
    return _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
static inline Ints dot(Ints s, Bytes w, Quad x) { return {dot_half(s.a, w.a, x.v), dot_half(s.b, w.b, x.v)}; }
// Unsigned bytes up to 255 would overflow 16 bits: multiply |w| by x with w's sign instead, 2 * 128 * 127 fits.
static inline __m256i dot_signed(__m256i s, __m256i w, __m256i x) {
    w = _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
    return dot_half(s, _mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}
static inline Ints dot_w8(Ints s, Bytes w, Quad x) { return {dot_signed(s.a, w.a, x.v), dot_signed(s.b, w.b, x.v)}; }
#endif
static inline void prefetch(const void *p) { _mm_prefetch((const char *)p, _MM_HINT_T0); }
