// What the bytes of a model file's tensors mean (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md names the
// types; dequantise.cpp draws their blocks).
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <string>

namespace myna {

enum class Source : int { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, mxfp4 };

// Throws std::invalid_argument with the names that there are, which are GGUF's.
Source source_from_name(const std::string &name);

// Elements that are stored together, and the bytes they take.
struct BlockSize {
    int elements;
    size_t bytes;
};
BlockSize block_size(Source source);

// Bytes of one row; throws std::invalid_argument when the columns do not fill whole blocks.
size_t source_row_bytes(Source source, int columns);

// A block of whole numbers: element i is scale[i / SPAN] * code[i] - minimum[i / SPAN]. Where a type has no minimum it
// is 0. A scale or minimum that the file gives as infinite or NaN stays so.
enum : int { SPAN = 16, LARGEST_BLOCK = 256 };
struct Block {
    alignas(64) int8_t code[LARGEST_BLOCK];
    float scale[LARGEST_BLOCK / SPAN], minimum[LARGEST_BLOCK / SPAN];
};

// Whether the source has blocks at all, so that read_block may be called.
bool in_blocks(Source source);

void read_block(Source source, const uint8_t *bytes, Block &block);

// `count` elements of a block from a multiple of SPAN on, to the bit what single precision makes of the formula above.
void dequantise(const Block &block, int first, int count, float *out);

// `count` elements of a source without blocks (F32, F16, BF16).
void read_floats(Source source, const uint8_t *bytes, int count, float *out);

}  // namespace myna
