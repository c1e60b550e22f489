#include "dequantise.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "half.h"

namespace myna {

namespace {

struct Named {
    const char *name;
    BlockSize size;
};

// In the order of Source.
constexpr Named SOURCES[] = {
    {"F32", {1, 4}},      {"F16", {1, 2}},      {"BF16", {1, 2}},     {"Q4_0", {32, 18}},   {"Q4_1", {32, 20}},
    {"Q5_0", {32, 22}},   {"Q5_1", {32, 24}},   {"Q8_0", {32, 34}},   {"Q2_K", {256, 84}},  {"Q3_K", {256, 110}},
    {"Q4_K", {256, 144}}, {"Q5_K", {256, 176}}, {"Q6_K", {256, 210}}, {"IQ4_NL", {32, 18}}, {"MXFP4", {32, 17}},
};

float read_half(const uint8_t *bytes) {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    return half_to_float(bits);
}

void same_everywhere(float scale, float minimum, Block &block) {
    block.scale[0] = block.scale[1] = scale;
    block.minimum[0] = block.minimum[1] = minimum;
}

// Nibbles of `half` bytes: the low ones are elements 0 … half - 1, the high ones follow.
void read_nibbles(const uint8_t *bytes, int half, int8_t *code) {
    for (int i = 0; i < half; i++) {
        code[i] = static_cast<int8_t>(bytes[i] & 15);
        code[half + i] = static_cast<int8_t>(bytes[i] >> 4);
    }
}

// Pairs of bits: 32 bytes hold 128 elements, byte i the elements i, 32 + i, 64 + i and 96 + i from its lowest bits up.
void add_pairs(const uint8_t *bytes, int shift, int8_t *code) {
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++)
            code[32 * pair + i] = static_cast<int8_t>(code[32 * pair + i] + ((bytes[i] >> 2 * pair & 3) << shift));
}

// Single bits of a block of 256: bit j of byte i belongs to element 32 * j + i.
void add_bits(const uint8_t *bytes, int shift, int8_t *code) {
    for (int bit = 0; bit < 8; bit++)
        for (int i = 0; i < 32; i++)
            code[32 * bit + i] = static_cast<int8_t>(code[32 * bit + i] + ((bytes[i] >> bit & 1) << shift));
}

void subtract(int amount, int count, int8_t *code) {
    for (int i = 0; i < count; i++) code[i] = static_cast<int8_t>(code[i] - amount);
}

// Blocks of 32 with one scale d, and a minimum m where the name ends in _1:
//
//     Q4_0   2 d | 16 nibbles                  d * (code - 8)
//     Q4_1   2 d | 2 m | 16 nibbles            d * code + m
//     Q5_0   2 d | 4 fifth bits | 16 nibbles   d * (code - 16); bit i of the four bytes belongs to element i
//     Q5_1   2 d | 2 m | 4 fifth bits | 16     d * code + m
//     Q8_0   2 d | 32 signed bytes             d * code
//     IQ4_NL 2 d | 16 nibbles                  d * LEVELS[code]
//     MXFP4  1 e | 16 nibbles                  2^(e - 127) * the 4-bit float of the code
void read_nibble_block(const uint8_t *bytes, bool fifth, bool minimum, Block &block) {
    const uint8_t *codes = bytes + 2 + (minimum ? 2 : 0) + (fifth ? 4 : 0);
    read_nibbles(codes, 16, block.code);
    if (fifth) {
        uint32_t high;
        std::memcpy(&high, codes - 4, 4);
        for (int i = 0; i < 32; i++) block.code[i] = static_cast<int8_t>(block.code[i] + ((high >> i & 1) << 4));
    }
    if (!minimum) subtract(fifth ? 16 : 8, 32, block.code);
    same_everywhere(read_half(bytes), minimum ? -read_half(bytes + 2) : 0, block);
}

void read_table_block(const uint8_t *bytes, const int8_t *levels, Block &block) {
    read_nibbles(bytes, 16, block.code);
    for (int i = 0; i < 32; i++) block.code[i] = levels[block.code[i]];
}

constexpr int8_t IQ4_NL_LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, doubled to be whole (OCP Microscaling Formats 1.0, section 5.3.3).
constexpr int8_t E2M1_LEVELS[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(e - 127), halved because the levels are doubled; 255 is the format's NaN.
float e8m0_half(uint8_t e) { return e == 255 ? NAN : std::ldexp(1.0f, e - 128); }

// The 6-bit scales and minimums of Q4_K's and Q5_K's eight groups of 32, in 12 bytes (A, a: scale and minimum of group
// 0, B, b of group 1 …; the first four have their six bits together, the others' upper two bits lie above these):
//
//     bytes 0 … 3   EEAAAAAA FFBBBBBB GGCCCCCC HHDDDDDD
//     bytes 4 … 7   eeaaaaaa ffbbbbbb ggcccccc hhdddddd
//     bytes 8 … 11  eeeeEEEE ffffFFFF ggggGGGG hhhhHHHH
void read_scales_and_minimums(const uint8_t *bytes, float d, float d_minimum, Block &block) {
    for (int group = 0; group < 8; group++) {
        int scale, minimum;
        if (group < 4) {
            scale = bytes[group] & 63;
            minimum = bytes[group + 4] & 63;
        } else {
            scale = (bytes[group + 4] & 15) | (bytes[group - 4] >> 6 << 4);
            minimum = (bytes[group + 4] >> 4) | (bytes[group] >> 6 << 4);
        }
        for (int span = 2 * group; span < 2 * group + 2; span++) {
            block.scale[span] = d * float(scale);
            block.minimum[span] = d_minimum * float(minimum);
        }
    }
}

// Q4_K   2 d | 2 dmin | 12 scales and minimums | 128 nibbles                    d * scale * code - dmin * minimum
// Q5_K   2 d | 2 dmin | 12 scales and minimums | 32 fifth bits | 128 nibbles    the same
// Each 32 bytes of nibbles are two groups of 32: the low ones, then the high ones.
void read_q4_k_or_q5_k(const uint8_t *bytes, bool fifth, Block &block) {
    read_scales_and_minimums(bytes + 4, read_half(bytes), read_half(bytes + 2), block);
    const uint8_t *nibbles = bytes + 16 + (fifth ? 32 : 0);
    for (int pair = 0; pair < 4; pair++) read_nibbles(nibbles + 32 * pair, 32, block.code + 64 * pair);
    if (fifth) add_bits(bytes + 16, 4, block.code);
}

// Q2_K   16 bytes: scale (low nibble) and minimum of each 16 elements | 64 bytes of pairs | 2 d | 2 dmin
//        d * scale * code - dmin * minimum
void read_q2_k(const uint8_t *bytes, Block &block) {
    std::memset(block.code, 0, 256);
    for (int half = 0; half < 2; half++) add_pairs(bytes + 16 + 32 * half, 0, block.code + 128 * half);
    const float d = read_half(bytes + 80), d_minimum = read_half(bytes + 82);
    for (int span = 0; span < 16; span++) {
        block.scale[span] = d * float(bytes[span] & 15);
        block.minimum[span] = d_minimum * float(bytes[span] >> 4);
    }
}

// Q3_K   32 third bits | 64 bytes of pairs | 12 scales | 2 d        d * (scale - 32) * (code - 4)
// A scale is for 16 elements and has 6 bits: byte s % 8 holds the lower four of scale s (in its low nibble for s < 8,
// else in its high one), and byte 8 + s % 4 the upper two, from bit 2 * (s / 4) on.
void read_q3_k(const uint8_t *bytes, Block &block) {
    std::memset(block.code, -4, 256);
    for (int half = 0; half < 2; half++) add_pairs(bytes + 32 + 32 * half, 0, block.code + 128 * half);
    add_bits(bytes, 2, block.code);
    const uint8_t *scales = bytes + 96;
    const float d = read_half(bytes + 108);
    for (int span = 0; span < 16; span++) {
        int low = span < 8 ? scales[span] & 15 : scales[span - 8] >> 4;
        int high = scales[8 + span % 4] >> 2 * (span / 4) & 3;
        block.scale[span] = d * float(low + 16 * high - 32);
        block.minimum[span] = 0;
    }
}

// Q6_K   128 nibbles | 64 bytes of pairs, the upper bits | 16 signed scales, each for 16 elements | 2 d
//        d * scale * (code - 32)
// Each 64 bytes of nibbles are 128 elements: the low ones, then the high ones.
void read_q6_k(const uint8_t *bytes, Block &block) {
    for (int half = 0; half < 2; half++) {
        read_nibbles(bytes + 64 * half, 64, block.code + 128 * half);
        add_pairs(bytes + 128 + 32 * half, 4, block.code + 128 * half);
    }
    subtract(32, 256, block.code);
    const float d = read_half(bytes + 208);
    for (int span = 0; span < 16; span++) {
        block.scale[span] = d * float(static_cast<int8_t>(bytes[192 + span]));
        block.minimum[span] = 0;
    }
}

}  // namespace

Source source_from_name(const std::string &name) {
    std::string known;
    for (size_t i = 0; i < std::size(SOURCES); i++) {
        if (name == SOURCES[i].name) return static_cast<Source>(i);
        known += std::string(i ? ", " : "") + SOURCES[i].name;
    }
    throw std::invalid_argument("unknown source type " + name + "; known are " + known);
}

BlockSize block_size(Source source) { return SOURCES[static_cast<int>(source)].size; }

bool in_blocks(Source source) { return block_size(source).elements > 1; }

size_t source_row_bytes(Source source, int columns) {
    const BlockSize size = block_size(source);
    if (columns % size.elements)
        throw std::invalid_argument(std::to_string(columns) + " columns do not fill whole blocks of " +
                                    std::to_string(size.elements));
    return size.bytes * size_t(columns / size.elements);
}

void read_block(Source source, const uint8_t *bytes, Block &block) {
    switch (source) {
        case Source::q4_0: return read_nibble_block(bytes, false, false, block);
        case Source::q4_1: return read_nibble_block(bytes, false, true, block);
        case Source::q5_0: return read_nibble_block(bytes, true, false, block);
        case Source::q5_1: return read_nibble_block(bytes, true, true, block);
        case Source::q8_0: std::memcpy(block.code, bytes + 2, 32); return same_everywhere(read_half(bytes), 0, block);
        case Source::q2_k: return read_q2_k(bytes, block);
        case Source::q3_k: return read_q3_k(bytes, block);
        case Source::q4_k: return read_q4_k_or_q5_k(bytes, false, block);
        case Source::q5_k: return read_q4_k_or_q5_k(bytes, true, block);
        case Source::q6_k: return read_q6_k(bytes, block);
        case Source::iq4_nl:
            read_table_block(bytes + 2, IQ4_NL_LEVELS, block);
            return same_everywhere(read_half(bytes), 0, block);
        case Source::mxfp4:
            read_table_block(bytes + 1, E2M1_LEVELS, block);
            return same_everywhere(e8m0_half(bytes[0]), 0, block);
        case Source::f32:
        case Source::f16:
        case Source::bf16: return;  // see in_blocks
    }
}

void dequantise(const Block &block, int first, int count, float *out) {
    for (int start = 0; start < count; start += SPAN) {
        const int8_t *code = block.code + first + start;
        const float scale = block.scale[(first + start) / SPAN], minimum = block.minimum[(first + start) / SPAN];
        for (int i = 0; i < SPAN; i++) out[start + i] = scale * float(code[i]) - minimum;
    }
}

void read_floats(Source source, const uint8_t *bytes, int count, float *out) {
    if (source == Source::f32) {
        std::memcpy(out, bytes, 4 * size_t(count));
        return;
    }
    for (int i = 0; i < count; i++) {
        uint16_t bits;
        std::memcpy(&bits, bytes + 2 * size_t(i), 2);
        out[i] = source == Source::f16 ? half_to_float(bits) : bfloat_to_float(bits);
    }
}

}  // namespace myna
