#include "pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "half.h"

namespace myna {

Format format_from_name(const std::string &name) {
    static const char *const names[] = {"w4", "w4s", "w8", "bf16", "f32"};
    for (int i = 0; i < 5; i++)
        if (name == names[i]) return static_cast<Format>(i);
    throw std::invalid_argument("unknown weight format " + name + "; known are w4, w4s, w8, bf16 and f32");
}

namespace {

uint16_t read16(const uint8_t *p) {
    uint16_t bits;
    std::memcpy(&bits, p, 2);
    return bits;
}

bool finite_half(uint16_t half) { return (half & 0x7c00) != 0x7c00; }

// Where a row's part of a packed group lies.
struct Place {
    uint8_t *group;
    int lane;

    uint8_t *quad(int line) const { return group + 64 * line + 4 * lane; }
    void half(size_t start, uint16_t bits) const { std::memcpy(group + start + 2 * lane, &bits, 2); }
};

// Blocks whose codes are copied as they are. Returns false for a scale that is not finite.
bool copy_block(Source source, const uint8_t *block, Format format, const Place &place) {
    uint16_t scale = read16(block);
    if (source == Source::q8_0) {
        for (int line = 0; line < 8; line++) {
            uint32_t codes;
            std::memcpy(&codes, block + 2 + 4 * line, 4);
            codes ^= 0x80808080u;
            std::memcpy(place.quad(line), &codes, 4);
        }
        place.half(512, scale);
        return finite_half(scale);
    }
    // scale * (nibble - 8) has the minimum -8 * scale, exact in float16 unless it overflows.
    uint16_t minimum = source == Source::q4_1 ? read16(block + 2) : float_to_half(-8 * half_to_float(scale));
    const uint8_t *codes = block + (source == Source::q4_1 ? 4 : 2);
    for (int line = 0; line < 4; line++) std::memcpy(place.quad(line), codes + 4 * line, 4);
    place.half(256, scale);
    if (format == Format::w4) place.half(288, minimum);
    return finite_half(scale) && (format == Format::w4s || finite_half(minimum));
}

bool copies(Source source, Format format) {
    return (source == Source::q4_0 && (format == Format::w4s || format == Format::w4)) ||
           (source == Source::q4_1 && format == Format::w4) || (source == Source::q8_0 && format == Format::w8);
}

float round_to_half(float x) { return half_to_float(float_to_half(x)); }

// Adding 1.5 * 2^23 leaves the nearest whole number (ties to even) in a float's low bits. For magnitudes below 2^22.
constexpr float ROUNDER = 12582912.0f;

int code_of(float x, float scale, float minimum, int largest) {
    if (scale == 0) return 0;
    return static_cast<int>(std::clamp((x - minimum) / scale, 0.0f, float(largest)) + ROUNDER - ROUNDER);
}

struct Fit {
    float scale, minimum, error;
};

// The error of `count` values as 4-bit codes, with scale and minimum as float16 keeps them.
Fit judge(const float *x, int count, float scale, float minimum) {
    Fit fit{round_to_half(scale), round_to_half(minimum), 0};
    for (int i = 0; i < count; i++) {
        float miss = x[i] - (fit.scale * float(code_of(x[i], fit.scale, fit.minimum, 15)) + fit.minimum);
        fit.error += miss * miss;
    }
    return fit;
}

// Codes 0 … 15 times scale plus minimum: spread the range over slightly more or fewer steps than 15, then refit scale
// and minimum by least squares to the codes that this gives; keep the best.
Fit fit_with_minimum(const float *x, int count) {
    auto [low, high] = std::minmax_element(x, x + count);
    float minimum = *low, range = *high - *low;
    Fit best = judge(x, count, range / 15, minimum);
    for (float steps = 13.5f; range > 0 && steps < 16.5f; steps += 0.25f) {
        float codes = 0, squares = 0, values = 0, products = 0, scale = range / steps;
        for (int i = 0; i < count; i++) {
            float code = float(code_of(x[i], scale, minimum, 15));
            codes += code, squares += code * code, values += x[i], products += code * x[i];
        }
        float spread = float(count) * squares - codes * codes;
        if (spread <= 0) continue;
        float refit = (float(count) * products - codes * values) / spread;
        Fit fit = judge(x, count, refit, (values - refit * codes) / float(count));
        if (fit.error < best.error) best = fit;
    }
    return best;
}

// Codes -8 … 7 times scale: the value of largest magnitude becomes about -8, whatever its sign.
Fit fit_symmetric(const float *x, int count) {
    float extreme = *std::max_element(x, x + count, [](float a, float b) { return std::abs(a) < std::abs(b); });
    Fit best{0, 0, INFINITY};
    for (float steps = 6.5f; steps < 9; steps += 0.125f) {
        float scale = -extreme / steps, squares = 0, products = 0;
        for (int i = 0; i < count; i++) {
            float code = float(code_of(x[i], scale, -8 * scale, 15) - 8);
            squares += code * code, products += code * x[i];
        }
        float refit = squares > 0 ? round_to_half(products / squares) : 0;
        Fit fit = judge(x, count, refit, -8 * refit);
        fit.minimum = -8 * fit.scale;
        if (fit.error < best.error) best = fit;
    }
    return best;
}

// A group of w8: codes + 128. Returns false when the scale is not finite in float16.
bool write_bytes(const uint8_t *codes, float scale, const Place &place) {
    const uint16_t bits = float_to_half(scale);
    for (int line = 0; line < 8; line++) std::memcpy(place.quad(line), codes + 4 * line, 4);
    place.half(512, bits);
    return finite_half(bits);
}

// A group as w8, given in steps of its scale, whose codes stay near a byte's range. Returns false when the scale is not
// finite in float16. The loops are plain arithmetic without a branch, so that any compiler vectorises them.
bool write_w8(const float *steps, float scale, const Place &place) {
    int16_t rounded[GROUP];
    uint8_t codes[GROUP];
    for (int i = 0; i < GROUP; i++) rounded[i] = static_cast<int16_t>(bits_from_float(steps[i] + ROUNDER));
    for (int i = 0; i < GROUP; i++) {
        rounded[i] = rounded[i] < -128 ? int16_t(-128) : rounded[i];
        rounded[i] = rounded[i] > 127 ? int16_t(127) : rounded[i];
    }
    for (int i = 0; i < GROUP; i++) codes[i] = static_cast<uint8_t>(rounded[i] + 128);
    return write_bytes(codes, scale, place);
}

// Types whose groups are signed codes times one scale, so that w8 holds them as they are.
bool one_scale(Source source) {
    return source == Source::q4_0 || source == Source::q5_0 || source == Source::iq4_nl || source == Source::mxfp4;
}

// For types whose halves of a group have scales of their own and no minimum: how many steps of w8 a step of the coarser
// half's codes becomes, as many as a byte has room for, so that the finer half is rounded little. 0 for other types.
int steps_of_code(Source source) {
    return source == Source::q6_k ? 4 : source == Source::q3_k ? 32 : 0;  // their codes begin at -32 and -4
}

// A group whose elements are codes times the scale of their half.
bool write_halves_as_w8(const int8_t *code, const float *scales, int steps_of_code, const Place &place) {
    if (!std::isfinite(scales[0]) || !std::isfinite(scales[1])) return false;
    const float coarser = scales[std::abs(scales[1]) > std::abs(scales[0])];
    const float scale = round_to_half(coarser / float(steps_of_code));
    float steps[GROUP] = {};
    for (int half = 0; scale && half < 2; half++) {
        const float factor = scales[half] / scale;
        for (int i = SPAN * half; i < SPAN * (half + 1); i++) steps[i] = factor * float(code[i]);
    }
    return write_w8(steps, scale, place);
}

// A group of signed bytes that share a scale.
bool write_codes_as_w8(const int8_t *code, float scale, const Place &place) {
    uint8_t codes[GROUP];
    for (int i = 0; i < GROUP; i++) codes[i] = static_cast<uint8_t>(code[i] + 128);
    return write_bytes(codes, scale, place);
}

// A group of codes 0 … 15 that share scale and minimum.
bool write_codes_as_w4(const int8_t *code, float scale, float minimum, const Place &place) {
    uint8_t nibbles[16];
    for (int i = 0; i < 16; i++) nibbles[i] = static_cast<uint8_t>(code[i] | code[16 + i] << 4);
    for (int line = 0; line < 4; line++) std::memcpy(place.quad(line), nibbles + 4 * line, 4);
    const uint16_t scale_bits = float_to_half(scale), minimum_bits = float_to_half(-minimum);
    place.half(256, scale_bits);
    place.half(288, minimum_bits);
    return finite_half(scale_bits) && finite_half(minimum_bits);
}

// Rounds a group to the format. Returns false when a value or its scale is not finite.
bool write_group(const float *x, int count, Format format, const Place &place) {
    // The bits of magnitudes are in the order of the magnitudes.
    int32_t largest_bits = 0;
    for (int i = 0; i < count; i++) {
        const auto bits = static_cast<int32_t>(bits_from_float(x[i]) & 0x7fffffffu);
        largest_bits = bits > largest_bits ? bits : largest_bits;
    }
    const float largest = float_from_bits(static_cast<uint32_t>(largest_bits));
    if (!std::isfinite(largest)) return false;
    if (format == Format::f32 || format == Format::bf16) {
        bool finite = true;
        for (int i = 0; i < count; i++) {
            if (format == Format::f32) {
                std::memcpy(place.group + 64 * i + 4 * place.lane, x + i, 4);
            } else {
                uint16_t bits = float_to_bfloat(x[i]);
                finite = finite && std::isfinite(bfloat_to_float(bits));
                std::memcpy(place.group + 32 * i + 2 * place.lane, &bits, 2);
            }
        }
        return finite;
    }
    if (format == Format::w8) {
        float steps[GROUP] = {};
        const float scale = round_to_half(largest / 127);
        for (int i = 0; scale && i < count; i++) steps[i] = x[i] / scale;
        return write_w8(steps, scale, place);
    }
    Fit fit = format == Format::w4 ? fit_with_minimum(x, count) : fit_symmetric(x, count);
    for (int i = 0; i < count; i++) {
        int code = code_of(x[i], fit.scale, fit.minimum, 15);
        place.quad(i % 16 / 4)[i % 4] |= static_cast<uint8_t>(i < 16 ? code : code << 4);
    }
    place.half(256, float_to_half(fit.scale));
    if (format == Format::w4) place.half(288, float_to_half(fit.minimum));
    return std::isfinite(fit.scale) && std::isfinite(fit.minimum);
}

// The group that begins at element `first` of a block.
bool write_part(Source source, const Block &block, int first, Format format, const Place &place) {
    const int8_t *code = block.code + first;
    const float *scales = block.scale + first / SPAN;
    if (source == Source::q4_k && format == Format::w4)
        return write_codes_as_w4(code, *scales, block.minimum[first / SPAN], place);
    if (format == Format::w8 && one_scale(source)) return write_codes_as_w8(code, *scales, place);
    if (const int steps = steps_of_code(source); steps && format == Format::w8)
        return write_halves_as_w8(code, scales, steps, place);
    float x[GROUP];
    dequantise(block, first, GROUP, x);
    return write_group(x, GROUP, format, place);
}

// Columns first … last - 1 of a row into its groups, of which `to` is the first. Returns false as `pack` does.
bool pack_columns(Source source, const uint8_t *row, int first, int last, Format format, Place to) {
    const BlockSize size = block_size(source);
    const bool copy = copies(source, format), blocks = in_blocks(source);
    bool finite = true;
    Block block;
    for (int column = first; column < last; column += GROUP, to.group += group_bytes(format)) {
        const uint8_t *from = row + column / size.elements * size.bytes;
        if (copy) {
            finite &= copy_block(source, from, format, to);
        } else if (blocks) {
            if (column % size.elements == 0) read_block(source, from, block);
            finite &= write_part(source, block, column % size.elements, format, to);
        } else {
            float x[GROUP];
            const int count = std::min<int>(GROUP, last - column);
            read_floats(source, from, count, x);
            finite &= write_group(x, count, format, to);
        }
    }
    return finite;
}

// The first `count` weights of one row's group.
void unpack_group(Format format, const uint8_t *p, int lane, int count, float *out) {
    auto half = [&](int at) { return half_to_float(read16(p + at + 2 * lane)); };
    auto byte = [&](int i) { return p[i / 4 * 64 + 4 * lane + i % 4]; };
    auto nibble = [&](int i) { return i < 16 ? byte(i) & 15 : byte(i - 16) >> 4; };
    switch (format) {
        case Format::w4: {
            const float scale = half(256), minimum = half(288);
            for (int i = 0; i < count; i++) out[i] = scale * float(nibble(i)) + minimum;
            break;
        }
        case Format::w4s: {
            const float scale = half(256);
            for (int i = 0; i < count; i++) out[i] = scale * float(nibble(i) - 8);
            break;
        }
        case Format::w8: {
            const float scale = half(512);
            for (int i = 0; i < count; i++) out[i] = scale * float(byte(i) - 128);
            break;
        }
        case Format::bf16:
            for (int i = 0; i < count; i++) out[i] = bfloat_to_float(read16(p + 32 * i + 2 * lane));
            break;
        case Format::f32:
            for (int i = 0; i < count; i++) std::memcpy(out + i, p + 64 * i + 4 * lane, 4);
            break;
    }
}

}  // namespace

bool pack(Source source, const uint8_t *data, const Matrix &matrix, uint8_t *packed, int first_tile, int last_tile) {
    const size_t row_bytes = source_row_bytes(source, matrix.columns);
    bool finite = true;
    for (int tile = first_tile; tile < last_tile; tile++) {
        // The rows of a tile share cache lines, so they go on side by side, a block at a time.
        for (int first = 0; first < matrix.columns; first += LARGEST_BLOCK) {
            const int last = std::min<int>(first + LARGEST_BLOCK, matrix.columns);
            uint8_t *to = packed + tile * matrix.tile_bytes() + first / GROUP * group_bytes(matrix.format);
            for (int row = tile * TILE; row < std::min((tile + 1) * TILE, matrix.rows); row++)
                finite &= pack_columns(source, data + row * row_bytes, first, last, matrix.format, {to, row % TILE});
        }
    }
    return finite;
}

void unpack_row(const Matrix &matrix, int row, float *out) {
    const uint8_t *p = matrix.data + row / TILE * matrix.tile_bytes();
    for (int group = 0; group < matrix.groups(); group++, p += group_bytes(matrix.format), out += GROUP)
        unpack_group(matrix.format, p, row % TILE, std::min<int>(GROUP, matrix.columns - group * GROUP), out);
}

}  // namespace myna
