// Attention in a step: new keys and values go to the cache, then each tile of queries of one sequence and KV head meets
// its keys, chunk by chunk at fixed positions. A tile's chunks may be spread over threads when there are few tiles;
// whoever finishes a tile's last chunk merges them all, in order.
#include <algorithm>
#include <cstring>

#include "executor.h"

namespace myna {

namespace {

// Queries (rows times heads of a group) that share their reads of the cache.
constexpr int queries_together = 16;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace

void Executor::plan_attention(const Batch &batch) {
    tiles_.clear();
    longest_ = 0;
    const int rows = std::max(1, queries_together / std::max(group_, 1));
    for (int s = 0; s < batch.sequence_count; s++)
        for (int row = batch.starts[s]; row < batch.starts[s + 1]; row += rows) {
            tiles_.push_back({s, row, std::min(rows, batch.starts[s + 1] - row), position_[row]});
            longest_ = std::max(longest_, position_[row] + tiles_.back().rows);
        }
    int kv_heads = 0, padded = 0;
    for (const Op &op : program_.ops) {
        if (op.kind != Op::Kind::attend) continue;
        kv_heads = std::max(kv_heads, op.kv_heads);
        padded = std::max(padded, ceil_div(op.head_dim, 16) * 16);
    }
    const int queries = rows * std::max(group_, 1), chunks = ceil_div(longest_, chunk_keys);
    split_ = team_.threads() > 1 && chunks > 1 && int(tiles_.size()) * kv_heads < 4 * team_.threads();
    partial_size_ = size_t(chunks) * queries * (padded + 2);
    for (Workplace &place : places_) {
        place.scores.need(sizeof(float) * size_t(queries) * chunk_keys);
        place.pointers.need((sizeof(const float *) + sizeof(int)) * size_t(queries));
        if (!split_) place.partial.need(sizeof(float) * partial_size_);
    }
    if (!split_) return;
    partial_.need(sizeof(float) * partial_size_ * tiles_.size() * kv_heads);
    size_t counters = tiles_.size() * kv_heads;
    if (counters > finished_size_) finished_.reset(new std::atomic<int>[counters]), finished_size_ = counters;
    for (size_t i = 0; i < counters; i++) finished_[i].store(0, std::memory_order_relaxed);
}

// Rotary positions, then the cache.
void Executor::write_keys(const Node &node, int row) {
    const Op &op = *node.op;
    float *q = row_of(node.inputs[0], row), *k = row_of(node.inputs[1], row);
    const float *v = row_of(node.inputs[2], row);
    for (const Op *rope : {node.rope_q, node.rope_k}) {
        if (!rope) continue;
        const float *cosines = angles(*rope, row);
        kernels_.rope(rope == node.rope_q ? q : k, rope->heads, rope->head_dim, rope->dims, rope->interleaved, cosines,
                      cosines + rope->dims / 2);
    }
    const CacheLayer &layer = layers_[op.out];
    const int block = batch_.tables[size_t(sequence_[row]) * batch_.table_width + position_[row] / block_size_];
    char *place = cache_.as<char>() + layer.offset + layer.block_bytes * size_t(block);
    for (int head = 0; head < op.kv_heads; head++)
        kernels_.write_cache(k + head * op.head_dim, v + head * op.head_dim, op.head_dim, block_size_,
                             position_[row] % block_size_, half_, place + layer.head_bytes * head);
}

bool Executor::run_attention(size_t index, const Walk &walk) {
    const Node &node = nodes_[index];
    const int kv_heads = node.op->kv_heads, pairs = walk.query_tiles * kv_heads;
    if (!each_row(phases_[2 * index], walk, walk.tokens, [&](int row) { write_keys(node, row); })) return false;
    auto one = [](int) { return 1; };
    return phases_[2 * index + 1].run(walk.round, pairs * walk.chunks, one, [&](int item, int) {
        // Later rows of a prompt see more keys: the longest work goes first.
        int pair = pairs - 1 - item / walk.chunks, tile = pair / kv_heads, chunk = item % walk.chunks;
        int own = ceil_div(tiles_[tile].position + tiles_[tile].rows, chunk_keys);
        if (!split_) attend_tile(node, tile, pair % kv_heads, 0, own, places_[walk.thread]);
        else if (chunk < own) attend_tile(node, tile, pair % kv_heads, chunk, chunk + 1, places_[walk.thread]);
    });
}

void Executor::attend_tile(const Node &node, int tile_index, int kv_head, int first_chunk, int last_chunk,
                           Workplace &place) {
    const Op &op = *node.op;
    const QueryTile &tile = tiles_[tile_index];
    const CacheLayer &layer = layers_[op.out];
    const int group = op.heads / op.kv_heads, queries = tile.rows * group, padded = ceil_div(op.head_dim, 16) * 16;
    const int length = tile.position + tile.rows, chunks = ceil_div(length, chunk_keys);
    const size_t element = half_ ? 2 : 4;

    // Partial results of all chunks of this tile and head: largest, total, then the mixed values.
    const size_t pair = size_t(tile_index) * op.kv_heads + kv_head;
    float *largest = split_ ? partial_.as<float>() + partial_size_ * pair : place.partial.as<float>();
    float *total = largest + size_t(chunks) * queries, *mixed = total + size_t(chunks) * queries;

    auto **query = place.pointers.as<const float *>();
    auto *visible = reinterpret_cast<int *>(query + queries);
    for (int i = 0; i < queries; i++)
        query[i] = row_of(node.inputs[0], tile.first_row + i / group) + (kv_head * group + i % group) * op.head_dim;

    for (int chunk = first_chunk; chunk < last_chunk; chunk++) {
        AttentionChunk work{};
        work.cache = cache_.as<char>() + layer.offset + layer.head_bytes * kv_head;
        work.blocks = batch_.tables + size_t(tile.sequence) * batch_.table_width;
        work.block_stride = layer.block_bytes / element;
        work.block_size = block_size_, work.head_dim = op.head_dim, work.half = half_;
        work.first = chunk * chunk_keys, work.count = std::min(chunk_keys, length - work.first);
        for (int i = 0; i < queries; i++)
            visible[i] = std::clamp(tile.position + i / group + 1 - work.first, 0, work.count);
        work.queries = queries, work.query = query, work.visible = visible, work.scale = op.scale;
        work.scores = place.scores.as<float>();
        work.largest = largest + size_t(chunk) * queries, work.total = total + size_t(chunk) * queries;
        work.mixed = mixed + size_t(chunk) * queries * padded;
        kernels_.attend(work);
    }
    if (split_ && finished_[pair].fetch_add(1, std::memory_order_acq_rel) + 1 < chunks) return;
    if (split_) finished_[pair].store(0, std::memory_order_relaxed);  // for the next layer
    for (int i = 0; i < queries; i++)
        kernels_.merge(chunks, queries, largest + i, total + i, mixed + size_t(i) * padded, op.head_dim,
                       row_of(node.outputs[0], tile.first_row + i / group) +
                           (kv_head * group + i % group) * op.head_dim);
}

}  // namespace myna
