// From the blocks of a model file to packed weights (laid out as kernels/kernels.h draws it), and back.
#pragma once
#include <string>

#include "dequantise.h"
#include "kernels/kernels.h"

namespace myna {

// What lies where in packed weights: another number after every change, for who keeps them on disk.
constexpr int packed_layout = 1;

// Throws std::invalid_argument for names other than w4, w4s, w8, bf16, f32.
Format format_from_name(const std::string &name);

// Packs rows 16 * first_tile … of `matrix` into `packed` (matrix.bytes() zeroed bytes). Q4_0 to w4s and w4, Q4_1 to w4,
// Q4_0, Q5_0, Q8_0, IQ4_NL and MXFP4 (scales from 2^-24 to 2^15) to w8 and anything to f32 keep every value. Q4_K to w4
// keeps the codes and rounds scale and minimum to float16; Q3_K and Q6_K to w8 keep the coarser 16 of each 32 codes
// likewise. Other pairs round, w4 and w4s with the least squared error that a short search finds. Returns false when a
// weight, or what it rounds to, is not finite.
bool pack(const Kernels &kernels, Source source, const uint8_t *data, const Matrix &matrix, uint8_t *packed,
          int first_tile, int last_tile);

// One row as `columns` floats.
void unpack_row(const Matrix &matrix, int row, float *out);

}  // namespace myna
