// Attention in a step: new keys and values go to the cache, then each tile of queries of one sequence and KV head meets
// its keys, chunk by chunk at fixed positions, from the first that a window shows on. A tile's chunks may be spread
// over threads when there are few tiles; whoever finishes a tile's last chunk merges them all, in order.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor.h"

namespace myna {

namespace {

// Queries (rows times heads of a group) that share their reads of the cache.
constexpr int queries_together = 36;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace

void Executor::plan_attention(const Batch &batch) {
    tiles_.clear();
    longest_ = 0;
    const int rows = std::max(1, queries_together / std::max(group_, 1));
    for (int s = 0; s < batch.sequence_count; s++)
        for (int row = batch.starts[s]; row < batch.starts[s + 1]; row += rows) {
            int length = batch.contexts[s] + batch.starts[s + 1] - batch.starts[s];
            tiles_.push_back({s, row, std::min(rows, batch.starts[s + 1] - row), position_[row], length});
            longest_ = std::max(longest_, length);
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
        place.strip.need(sizeof(float) * size_t(padded) * 32);
        place.queries.need(sizeof(Query) * size_t(queries));
        if (!split_) place.partial.need(sizeof(float) * partial_size_);
    }
    if (!split_) return;
    partial_.need(sizeof(float) * partial_size_ * tiles_.size() * kv_heads);
    size_t counters = tiles_.size() * kv_heads;
    if (counters > finished_size_) finished_.reset(new std::atomic<int>[counters]), finished_size_ = counters;
    for (size_t i = 0; i < counters; i++) finished_[i].store(0, std::memory_order_relaxed);
}

// Norms of heads and rotary positions, then the cache.
void Executor::write_keys(const Node &node, int row) {
    const Op &op = *node.op;
    float *q = row_of(node.inputs[0], row), *k = row_of(node.inputs[1], row);
    const float *v = row_of(node.inputs[2], row);
    if (node.norm_q) normalise(*node.norm_q, q, q);
    if (node.norm_k) normalise(*node.norm_k, k, k);
    if (node.rope_q) rotate(*node.rope_q, q, row);
    if (node.rope_k) rotate(*node.rope_k, k, row);
    const CacheLayer &layer = layers_[op.out];
    const int block = batch_.tables[size_t(sequence_[row]) * batch_.table_width + position_[row] / block_size_];
    char *place = cache_.as<char>() + layer.offset + layer.block_bytes * size_t(block);
    for (int head = 0; head < op.kv_heads; head++)
        kernels_.write_cache(k + head * op.head_dim, v + head * op.head_dim, op.head_dim, block_size_,
                             position_[row] % block_size_, half_, place + layer.head_bytes * head);
}

// The keys that some row of a tile sees.
Executor::KeySpan Executor::keys_of(const Op &op, const QueryTile &tile) {
    KeySpan keys{};
    keys.last = op.causal ? tile.position + tile.rows : tile.length;
    keys.first = op.window ? std::max(0, tile.position + 1 - op.window) : 0;
    keys.first_chunk = keys.first / chunk_keys;
    keys.chunks = ceil_div(keys.last, chunk_keys) - keys.first_chunk;
    return keys;
}

bool Executor::run_attention(size_t index, const Walk &walk) {
    const Node &node = nodes_[index];
    const int kv_heads = node.op->kv_heads, pairs = walk.query_tiles * kv_heads;
    if (!each_row(phase(index, 0), walk, walk.tokens, [&](int row) { write_keys(node, row); })) return false;
    auto one = [](int) { return 1; };
    return phase(index, 1).run(walk.round, pairs * walk.chunks, one, [&](int item, int) {
        // Later rows of a prompt see more keys: the longest work goes first.
        int pair = pairs - 1 - item / walk.chunks, tile = pair / kv_heads, chunk = item % walk.chunks;
        int own = keys_of(*node.op, tiles_[tile]).chunks;
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
    const KeySpan keys = keys_of(op, tile);
    const int chunks = keys.chunks;
    const size_t element = half_ ? 2 : 4;

    // Partial results of all chunks of this tile and head: largest, total, then the mixed values.
    const size_t pair = size_t(tile_index) * op.kv_heads + kv_head;
    float *largest = split_ ? partial_.as<float>() + partial_size_ * pair : place.partial.as<float>();
    float *total = largest + size_t(chunks) * queries, *mixed = total + size_t(chunks) * queries;

    auto *query = place.queries.as<Query>();
    for (int i = 0; i < queries; i++) {
        const int head = kv_head * group + i % group;
        query[i].vector = row_of(node.inputs[0], tile.first_row + i / group) + head * op.head_dim;
        query[i].slope = op.slopes.empty() ? 0 : float(op.slopes[head]);
    }

    for (int chunk = first_chunk; chunk < last_chunk; chunk++) {
        AttentionChunk work{};
        work.cache = cache_.as<char>() + layer.offset + layer.head_bytes * kv_head;
        work.blocks = batch_.tables + size_t(tile.sequence) * batch_.table_width;
        work.block_stride = layer.block_bytes / element;
        work.block_size = block_size_, work.head_dim = op.head_dim, work.half = half_;
        // Keys that no query sees are left out in whole registers: the others keep their lanes.
        const int start = (keys.first_chunk + chunk) * chunk_keys;
        work.first = std::max(start, keys.first / 16 * 16);
        work.count = std::min(start + chunk_keys, keys.last) - work.first;
        for (int i = 0; i < queries; i++) {
            const int position = tile.position + i / group - work.first;
            query[i].position = position;
            query[i].first = op.window ? std::max(0, position + 1 - op.window) : 0;
            query[i].last = op.causal ? std::min(position + 1, work.count) : work.count;
            if (query[i].first >= query[i].last) query[i].first = work.count, query[i].last = 0;
        }
        work.queries = queries, work.query = query;
        work.scale = op.scale, work.cap = op.cap, work.sloped = !op.slopes.empty();
        work.scores = place.scores.as<float>(), work.strip = place.strip.as<float>();
        work.largest = largest + size_t(chunk) * queries, work.total = total + size_t(chunk) * queries;
        work.mixed = mixed + size_t(chunk) * queries * padded;
        kernels_.attend(work);
    }
    if (split_ && finished_[pair].fetch_add(1, std::memory_order_acq_rel) + 1 < chunks) return;
    if (split_) finished_[pair].store(0, std::memory_order_relaxed);  // for the next layer
    for (int i = 0; i < queries; i++) {
        const int head = kv_head * group + i % group;
        const float sink = op.sinks < 0 ? -INFINITY : vector(op.sinks)[head];
        kernels_.merge(chunks, queries, sink, largest + i, total + i, mixed + size_t(i) * padded, op.head_dim,
                       row_of(node.outputs[0], tile.first_row + i / group) + head * op.head_dim);
    }
}

}  // namespace myna
