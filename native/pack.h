// From the blocks of a model file to packed weights (laid out as kernels/kernels.h draws it), and back.
#pragma once
#include <string>

#include "kernels/kernels.h"

namespace myna {

// GGUF's block layouts (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): a row is columns / 32 blocks of
// float16 scale, for Q4_1 float16 minimum, then codes; a Q4 byte holds columns i (low nibble) and 16 + i (high).
enum class Source : int { f32, f16, bf16, q4_0, q4_1, q8_0 };

// Throw std::invalid_argument for names other than F32, F16, BF16, Q4_0, Q4_1, Q8_0; and w4, w4s, w8, bf16, f32.
Source source_from_name(const std::string &name);
Format format_from_name(const std::string &name);

// Bytes of one row; throws std::invalid_argument when the columns do not fill whole blocks.
size_t source_row_bytes(Source source, int columns);

// Packs rows 16 * first_tile … of `matrix` into `packed` (matrix.bytes() zeroed bytes). Q4_0 to w4s and w4, Q4_1 to w4,
// Q8_0 to w8 and anything to f32 keep every value; other pairs round, w4 and w4s with the least squared error that a
// short search finds. Returns false when a weight, or what it rounds to, is not finite.
bool pack(Source source, const uint8_t *data, const Matrix &matrix, uint8_t *packed, int first_tile, int last_tile);

// One row as `columns` floats.
void unpack_row(const Matrix &matrix, int row, float *out);

}  // namespace myna
