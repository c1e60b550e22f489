// float16 and bfloat16 bits to float32 and back, in plain arithmetic. Everything here is static on purpose: this
// header is included by files compiled for different instruction sets, and internal linkage keeps the linker from
// merging their copies.
#pragma once
#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t bits_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return float_from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);  // infinity, NaN
    if (rest >= 0x0400u) return float_from_bits(sign | ((rest << 13) + 0x38000000u));
    float magnitude = (float)rest * 5.9604644775390625e-8f;  // subnormal: rest * 2^-24, exact
    return float_from_bits(sign | bits_from_float(magnitude));
}

// Rounds to nearest, ties to even; too large becomes infinity.
static inline uint16_t float_to_half(float value) {
    uint32_t bits = bits_from_float(value), sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (bits >= 0x38800000u) return (uint16_t)(sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13);
    // Subnormal: adding 0.5 leaves value * 2^24, rounded, in the low bits of the sum.
    return (uint16_t)(sign | (bits_from_float(float_from_bits(bits) + 0.5f) - 0x3f000000u));
}

static inline float bfloat_to_float(uint16_t bits) { return float_from_bits((uint32_t)bits << 16); }

static inline uint16_t float_to_bfloat(float value) {
    uint32_t bits = bits_from_float(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
