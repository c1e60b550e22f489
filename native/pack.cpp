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

// A group of floats as bf16 or f32. Returns false when a value is not finite.
bool write_floats(const float *x, int count, Format format, const Place &place) {
    bool finite = true;
    for (int i = 0; i < count; i++) {
        const uint16_t bits = float_to_bfloat(x[i]);
        finite &= std::isfinite(format == Format::f32 ? x[i] : bfloat_to_float(bits));
        if (format == Format::f32) std::memcpy(place.group + 64 * i + 4 * place.lane, x + i, 4);
        else std::memcpy(place.group + 32 * i + 2 * place.lane, &bits, 2);
    }
    return finite;
}

// Whether integer codes are made from the source's own, row by row, and not from its values.
bool keeps_codes(Source source, Format format) {
    return copies(source, format) || (source == Source::q4_k && format == Format::w4) ||
           (format == Format::w8 && (one_scale(source) || steps_of_code(source)));
}

// The group that begins at element `first` of a block.
bool write_part(Source source, const Block &block, int first, Format format, const Place &place) {
    const int8_t *code = block.code + first;
    const float *scales = block.scale + first / SPAN;
    if (format == Format::w4) return write_codes_as_w4(code, *scales, block.minimum[first / SPAN], place);
    if (format == Format::w8 && one_scale(source)) return write_codes_as_w8(code, *scales, place);
    if (format == Format::w8) return write_halves_as_w8(code, scales, steps_of_code(source), place);
    float x[GROUP];
    dequantise(block, first, GROUP, x);
    return write_floats(x, GROUP, format, place);
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
            finite &= write_floats(x, count, format, to);
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

// Columns first … last - 1 of a tile's rows, rounded together.
bool round_columns(const Kernels &kernels, Source source, const uint8_t *data, size_t row_bytes, int rows, int first,
                   int last, Format format, uint8_t *to) {
    const BlockSize size = block_size(source);
    float x[LARGEST_BLOCK][TILE] = {}, values[LARGEST_BLOCK];
    Block block;
    for (int row = 0; row < rows; row++, data += row_bytes) {
        const uint8_t *from = data + first / size.elements * size.bytes;
        for (int column = 0; column < last - first; column += size.elements, from += size.bytes) {
            if (!in_blocks(source)) {
                read_floats(source, from, last - first, values);
                break;
            }
            read_block(source, from, block);
            dequantise(block, 0, size.elements, values + column);
        }
        for (int i = 0; i < last - first; i++) x[i][row] = values[i];
    }
    bool finite = true;
    for (int column = 0; column < last - first; column += GROUP, to += group_bytes(format))
        finite &= kernels.round_group(format, x[column], std::min<int>(GROUP, last - first - column), to);
    return finite;
}

}  // namespace

bool pack(const Kernels &kernels, Source source, const uint8_t *data, const Matrix &matrix, uint8_t *packed,
          int first_tile, int last_tile) {
    const size_t row_bytes = source_row_bytes(source, matrix.columns);
    const bool rounds = takes_codes(matrix.format) && !keeps_codes(source, matrix.format);
    bool finite = true;
    for (int tile = first_tile; tile < last_tile; tile++) {
        const int start = tile * TILE, rows = std::min<int>(TILE, matrix.rows - start);
        // The rows of a tile share cache lines, so they go on side by side, a block at a time.
        for (int first = 0; first < matrix.columns; first += LARGEST_BLOCK) {
            const int last = std::min<int>(first + LARGEST_BLOCK, matrix.columns);
            const uint8_t *from = data + start * row_bytes;
            uint8_t *to = packed + tile * matrix.tile_bytes() + first / GROUP * group_bytes(matrix.format);
            if (rounds) finite &= round_columns(kernels, source, from, row_bytes, rows, first, last, matrix.format, to);
            for (int row = 0; !rounds && row < rows; row++)
                finite &= pack_columns(source, from + row * row_bytes, first, last, matrix.format, {to, row});
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
