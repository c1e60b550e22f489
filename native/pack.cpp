#include "pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "half.h"

namespace myna {

Source source_from_name(const std::string &name) {
    static const char *const names[] = {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0"};
    for (int i = 0; i < 6; i++)
        if (name == names[i]) return static_cast<Source>(i);
    throw std::invalid_argument("unknown source type " + name + "; known are F32, F16, BF16, Q4_0, Q4_1 and Q8_0");
}

Format format_from_name(const std::string &name) {
    static const char *const names[] = {"w4", "w4s", "w8", "bf16", "f32"};
    for (int i = 0; i < 5; i++)
        if (name == names[i]) return static_cast<Format>(i);
    throw std::invalid_argument("unknown weight format " + name + "; known are w4, w4s, w8, bf16 and f32");
}

namespace {

size_t block_bytes(Source source) {
    switch (source) {
        case Source::q4_0: return 18;
        case Source::q4_1: return 20;
        case Source::q8_0: return 34;
        default: return 0;
    }
}

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

// `count` values of a row's group, the rest 0.
void read_group(Source source, const uint8_t *row, int group, int count, float *out) {
    std::fill(out + count, out + GROUP, 0.0f);
    const uint8_t *p = row + group * block_bytes(source);
    float scale = block_bytes(source) ? half_to_float(read16(p)) : 0;
    switch (source) {
        case Source::f32: std::memcpy(out, row + 4 * size_t(group) * GROUP, 4 * size_t(count)); return;
        case Source::f16:
            for (int i = 0; i < count; i++) out[i] = half_to_float(read16(row + 2 * (size_t(group) * GROUP + i)));
            return;
        case Source::bf16:
            for (int i = 0; i < count; i++) out[i] = bfloat_to_float(read16(row + 2 * (size_t(group) * GROUP + i)));
            return;
        case Source::q4_0:
            for (int i = 0; i < 16; i++) {
                out[i] = scale * float((p[2 + i] & 15) - 8);
                out[16 + i] = scale * float((p[2 + i] >> 4) - 8);
            }
            return;
        case Source::q4_1: {
            float minimum = half_to_float(read16(p + 2));
            for (int i = 0; i < 16; i++) {
                out[i] = scale * float(p[4 + i] & 15) + minimum;
                out[16 + i] = scale * float(p[4 + i] >> 4) + minimum;
            }
            return;
        }
        case Source::q8_0:
            for (int i = 0; i < GROUP; i++) out[i] = scale * float(static_cast<int8_t>(p[2 + i]));
            return;
    }
}

float round_to_half(float x) { return half_to_float(float_to_half(x)); }

int code_of(float x, float scale, float minimum, int largest) {
    if (scale == 0) return 0;
    return static_cast<int>(std::clamp(std::nearbyintf((x - minimum) / scale), 0.0f, float(largest)));
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

// Rounds a group to the format. Returns false when a value or its scale is not finite.
bool write_group(const float *x, int count, Format format, const Place &place) {
    for (int i = 0; i < count; i++)
        if (!std::isfinite(x[i])) return false;
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
        float largest = 0;
        for (int i = 0; i < count; i++) largest = std::max(largest, std::abs(x[i]));
        float scale = round_to_half(largest / 127);
        for (int i = 0; i < GROUP; i++)
            place.quad(i / 4)[i % 4] =
                static_cast<uint8_t>(i < count && scale ? code_of(x[i], scale, -128 * scale, 255) : 128);
        place.half(512, float_to_half(scale));
        return std::isfinite(scale);
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

}  // namespace

size_t source_row_bytes(Source source, int columns) {
    if (source == Source::f32) return 4 * size_t(columns);
    if (source == Source::f16 || source == Source::bf16) return 2 * size_t(columns);
    if (columns % GROUP)
        throw std::invalid_argument(std::to_string(columns) + " columns do not fill whole blocks of 32");
    return block_bytes(source) * size_t(columns / GROUP);
}

bool pack(Source source, const uint8_t *data, const Matrix &matrix, uint8_t *packed, int first_tile, int last_tile) {
    const size_t row_bytes = source_row_bytes(source, matrix.columns), step = group_bytes(matrix.format);
    const bool copy = copies(source, matrix.format);
    bool finite = true;
    for (int row = first_tile * TILE; row < std::min(last_tile * TILE, matrix.rows); row++) {
        const uint8_t *from = data + row * row_bytes;
        uint8_t *to = packed + row / TILE * matrix.tile_bytes();
        for (int group = 0; group < matrix.groups(); group++, to += step) {
            Place place{to, row % TILE};
            if (copy) {
                finite &= copy_block(source, from + group * block_bytes(source), matrix.format, place);
            } else {
                float x[GROUP];
                int count = std::min<int>(GROUP, matrix.columns - group * GROUP);
                read_group(source, from, group, count, x);
                finite &= write_group(x, count, matrix.format, place);
            }
        }
    }
    return finite;
}

void unpack_row(const Matrix &matrix, int row, float *out) {
    const uint8_t *p = matrix.data + row / TILE * matrix.tile_bytes();
    const int lane = row % TILE;
    for (int group = 0; group < matrix.groups(); group++, p += group_bytes(matrix.format)) {
        for (int i = 0; i < std::min<int>(GROUP, matrix.columns - group * GROUP); i++) {
            float &x = out[group * GROUP + i];
            uint8_t nibbles = p[i % 16 / 4 * 64 + 4 * lane + i % 4];
            float nibble = float(i < 16 ? nibbles & 15 : nibbles >> 4);
            switch (matrix.format) {
                case Format::w4:
                    x = half_to_float(read16(p + 256 + 2 * lane)) * nibble + half_to_float(read16(p + 288 + 2 * lane));
                    break;
                case Format::w4s: x = half_to_float(read16(p + 256 + 2 * lane)) * (nibble - 8); break;
                case Format::w8:
                    x = half_to_float(read16(p + 512 + 2 * lane)) * float(p[i / 4 * 64 + 4 * lane + i % 4] - 128);
                    break;
                case Format::bf16: x = bfloat_to_float(read16(p + 32 * i + 2 * lane)); break;
                case Format::f32: std::memcpy(&x, p + 64 * i + 4 * lane, 4); break;
            }
        }
    }
}

}  // namespace myna
