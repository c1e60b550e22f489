// The kernels' interface: plain data and a table of functions, one table an instruction set.
//
// Packed weights. A matrix is cut into tiles of 16 rows and groups of 32 columns; the last of each is padded with
// zeros. Tiles follow each other; within a tile, its groups; within a group, for w4 and w4s:
//
//     64 bytes x 4: line j holds, for each of the 16 rows, 4 bytes: byte i has column 4j + i in its low nibble
//                   and column 16 + 4j + i in its high nibble
//     16 float16:   scales of the rows
//     16 float16:   minimums of the rows (w4 only)
//
// w4: scale * nibble + minimum; w4s: scale * (nibble - 8). For w8 it is 64 bytes x 8, line j holding columns
// 4j … 4j + 3 of each row as byte + 128, then 16 float16 scales. bf16 and f32: 32 lines, each one column of the 16
// rows. So every line is what one dot product of four bytes a lane eats, whether a register holds 4, 8 or 16 lanes,
// and one layout serves all instruction sets.
//
// Every function gives the same bits for a row whatever other rows are computed with it.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace myna {

enum class Format : int { w4, w4s, w8, bf16, f32 };
enum class Activation : int { silu, gelu_tanh, gelu };

enum : int { TILE = 16, GROUP = 32 };

static constexpr size_t group_bytes(Format format) {
    switch (format) {
        case Format::w4: return 256 + 64;
        case Format::w4s: return 256 + 32;
        case Format::w8: return 512 + 32;
        case Format::bf16: return 1024;
        case Format::f32: return 2048;
    }
    return 0;
}

static constexpr bool takes_codes(Format format) { return format <= Format::w8; }

struct Matrix {
    Format format = Format::f32;
    int rows = 0, columns = 0;
    const uint8_t *data = nullptr;  // 64-byte aligned

    int tiles() const { return (rows + TILE - 1) / TILE; }
    int groups() const { return (columns + GROUP - 1) / GROUP; }
    size_t tile_bytes() const { return group_bytes(format) * groups(); }
    size_t bytes() const { return tile_bytes() * tiles(); }
};

// Rows of activations as products take them: int8 codes with a scale and the codes' sum a group, or floats.
// Row r starts at codes + r * groups * 32, scales + r * groups, sums + r * groups, floats + r * groups * 32.
struct Activations {
    int8_t *codes = nullptr;
    float *scales = nullptr, *floats = nullptr;
    int32_t *sums = nullptr;
    int groups = 0;
};

// A query of attention, as one chunk sees it. It may see keys first … last - 1, counted from the chunk's first, or
// none.
struct Query {
    const float *vector;  // head_dim floats
    int first, last;
    int position;  // its own place, counted likewise
    float slope;   // its score gets slope * (key - position)
};

// Some keys of one sequence and KV head against some queries. Keys first … first + count - 1 (first is a multiple of
// 16) lie in blocks of block_size tokens; block b of the sequence starts at cache + blocks[b] * block_stride elements:
// keys as [block_size / 16][head_dim][16], so that a lane is a key, then values as [block_size][head_dim rounded up
// to 16].
struct AttentionChunk {
    const void *cache;
    const int32_t *blocks;
    size_t block_stride;
    int block_size, head_dim;
    bool half;  // the cache holds float16, else float32
    int first, count;
    int queries;
    const Query *query;  // [queries]
    float scale, cap;    // scores are scaled, then capped unless cap is 0
    bool sloped;
    float *scores;  // scratch [queries][count rounded up to 16]
    float *strip;   // scratch [32][head_dim rounded up to 16]
    // Results: the largest score, the sum of exp(score - largest), and the values so weighted; -infinity, 0 and zeros
    // for a query that sees nothing.
    float *largest, *total;  // [queries]
    float *mixed;            // [queries][head_dim rounded up to 16]
};

struct Kernels {
    const char *name;
    // columns floats -> codes, row by row, from group `first_group` on; the padding of the last group becomes 0.
    // x: [last_row - first_row] rows at a distance of `stride`.
    void (*quantise)(const float *x, size_t stride, int columns, const Activations &to, int first_row, int last_row,
                     int first_group);
    // out[(row - first_row) * stride + (tile - first_tile) * 16 + lane] = tile's row `lane` times activation row.
    void (*product)(const Matrix &matrix, const Activations &x, int first_tile, int last_tile, int first_row,
                    int last_row, float *out, size_t stride);
    // What follows a product: out = x + bias + residual, of which bias [size] and residual [rows][size] may be null.
    // The rows of x have room for whole tiles.
    void (*finish)(const float *x, size_t stride, int rows, int size, const float *bias, const float *residual,
                   size_t residual_stride, float *out, size_t out_stride);
    void (*rms_norm)(const float *x, const float *weight, const float *bias, int size, float epsilon, float *out);
    void (*layer_norm)(const float *x, const float *weight, const float *bias, int size, float epsilon, float *out);
    void (*activate)(Activation kind, const float *x, float *out, int size);
    void (*add)(const float *a, const float *b, float *out, int size);
    void (*multiply)(const float *a, const float *b, float *out, int size);
    // out += scale * x.
    void (*add_scaled)(const float *x, float scale, float *out, int size);
    // out = cap * tanh(x / cap).
    void (*softcap)(const float *x, float cap, float *out, int size);
    // With g = min(gate, limit) and u = up cut to -limit … limit: out = g * sigmoid(alpha * g) * (u + 1).
    void (*clamped_silu)(const float *gate, const float *up, float alpha, float limit, float *out, int size);
    // Turns the first dims of each head in place by cos and sin [dims / 2].
    void (*rope)(float *x, int heads, int head_dim, int dims, bool interleaved, const float *cos, const float *sin);
    // Puts one token's key and value (head_dim floats each) at place `slot` of a block and KV head; see AttentionChunk.
    void (*write_cache)(const float *key, const float *value, int head_dim, int block_size, int slot, bool half,
                        void *block);
    void (*attend)(const AttentionChunk &chunk);
    // Merges the results of chunks, in order; [chunks] each with mixed at stride [head_dim rounded up to 16] * apart.
    // `sink` is one more score, of nothing; -infinity for none.
    void (*merge)(int chunks, int apart, float sink, const float *largest, const float *total, const float *mixed,
                  int head_dim, float *out);
    // out = exp((x - peak) * scale).
    void (*exponentials)(const float *x, int size, float peak, float scale, float *out);
    // Largest element and, unless `result` is null, log(sum(exp(x))); NaN if any element is infinite or NaN.
    void (*log_sum_exp)(const float *x, int size, float *largest, float *result);
    // Sum of 64-bit words, for the bandwidth probe.
    uint64_t (*read)(const uint64_t *words, size_t count);
    // Rounds `count` columns of 16 rows (x: [count][16]) to one group of w4, w4s or w8, the 4-bit ones with the least
    // squared error that a short search finds; to the same bits on every instruction set. Returns false when a value,
    // or the scale that it asks for, is not finite.
    bool (*round_group)(Format format, const float *x, int count, uint8_t *group);
};

namespace generic {
const Kernels &kernels();
}
#if defined(__x86_64__) || defined(_M_X64)
#define MYNA_X86 1
namespace avx2 {
const Kernels &kernels();
}
namespace avx2_vnni {
const Kernels &kernels();
}
namespace avx512_vnni {
const Kernels &kernels();
}
#elif defined(__aarch64__) || defined(_M_ARM64)
#define MYNA_ARM 1
namespace neon {
const Kernels &kernels();
}
#endif

}  // namespace myna
