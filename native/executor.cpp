// Loading: the Program, its weights, the cache, and the checks that keep a mistaken batch away from memory.
#include "executor.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>

namespace myna {

namespace {

[[noreturn]] void fail(const std::string &message) { throw std::invalid_argument(message); }

// Of one step; phases count their units, some thousands a row block at most, in 24 bits.
constexpr int most_tokens = 1 << 17;

std::string text(int64_t number) { return std::to_string(number); }

}  // namespace

Executor::Executor(const std::vector<Fields> &ops, int threads, const Kernels &kernels)
    : program_(parse_program(ops)), nodes_(fuse(program_)), kernels_(kernels), places_(size_t(threads)),
      team_(threads) {
    buffer_of_ = assign_buffers(program_, nodes_, buffer_sizes_);
    buffers_.resize(buffer_sizes_.size());
    weights_.resize(program_.weights.size());
    layers_.resize(program_.ops.size());
    rope_of_.assign(program_.ops.size(), -1);
    for (const Op &op : program_.ops) {
        if (op.kind == Op::Kind::attend) group_ = std::max(group_, op.heads / op.kv_heads);
        if (op.kind != Op::Kind::rope) continue;
        // Layers mostly share one table of cosines and sines.
        auto same = [&op](const RopeTable &table) {
            return table.op->dims == op.dims && table.op->base == op.base && table.op->factors == op.factors &&
                   table.op->scale == op.scale;
        };
        auto found = std::find_if(ropes_.begin(), ropes_.end(), same);
        rope_of_[op.out] = static_cast<int>(found - ropes_.begin());
        if (found != ropes_.end()) continue;
        RopeTable table{&op, {}};
        for (int i = 0; i < op.dims / 2; i++)
            table.frequencies.push_back(std::pow(op.base, -2.0 * i / op.dims) /
                                        (op.factors.empty() ? 1 : op.factors[i]));
        ropes_.push_back(std::move(table));
    }
    for (const Node &node : nodes_)
        for (const Segment &segment : node.segments)
            widest_ = std::max(widest_, (program_.weights[segment.weight].columns + GROUP - 1) / GROUP * GROUP);
    phases_.reset(new Phase[size_t(most_phases) * nodes_.size()]);
}

int Executor::weight_named(const std::string &name) const {
    for (size_t i = 0; i < program_.weights.size(); i++)
        if (program_.weights[i].name == name) return static_cast<int>(i);
    fail("the Program has no weight " + name);
}

// The first part of a weight that is still to be set. A vector lies flat: as a matrix of one column, whose lines are
// its consecutive elements.
Matrix Executor::matrix_of(int weight, Format format) const {
    const WeightSpec &spec = program_.weights[weight];
    if (sealed_) fail("weight " + spec.name + " comes after seal()");
    if (weights_[weight].data) fail("weight " + spec.name + " was set before");
    if (!spec.vector) return {format, spec.rows / spec.parts, spec.columns, nullptr};
    if (format != Format::f32) fail("vector " + spec.name + " must be kept as f32");
    return {format, spec.columns, 1, nullptr};
}

void Executor::set_weight(const std::string &name, const uint8_t *data, size_t bytes, Source source, int rows,
                          int columns, Format format) {
    const int index = weight_named(name);
    const WeightSpec &spec = program_.weights[index];
    Matrix matrix = matrix_of(index, format);
    if (rows != spec.rows || columns != spec.columns)
        fail("weight " + name + " is " + text(rows) + " x " + text(columns) + ", but the Program wants " +
             text(spec.rows) + " x " + text(spec.columns));
    size_t expected;
    try {
        expected = source_row_bytes(source, columns) * size_t(rows);
    } catch (const std::invalid_argument &error) { fail("weight " + name + ": " + error.what()); }
    if (bytes != expected)
        fail("weight " + name + " has " + std::to_string(bytes) + " bytes instead of " + std::to_string(expected));
    if (spec.vector) {
        auto *flat = static_cast<float *>(arena_.take(sizeof(float) * ((size_t(columns) + TILE - 1) / TILE * TILE)));
        Matrix row{Format::f32, 1, columns, nullptr};
        std::vector<uint8_t> packed(row.bytes());
        if (!pack(kernels_, source, data, row, packed.data(), 0, 1))
            fail("weight " + name + " holds a value that is not finite");
        row.data = packed.data();
        unpack_row(row, 0, flat);
        matrix.data = reinterpret_cast<const uint8_t *>(flat);
        weights_[index] = matrix;
        return;
    }
    auto *packed = static_cast<uint8_t *>(arena_.take(matrix.bytes() * size_t(spec.parts)));
    std::atomic<bool> finite{true};
    const int shares = (matrix.tiles() + 7) / 8;
    const size_t part_bytes = expected / size_t(spec.parts);
    team_.each(shares * spec.parts, 1, [&](int, int i) {
        const size_t part = size_t(i / shares);
        const int tile = i % shares * 8;
        if (!pack(kernels_, source, data + part_bytes * part, matrix, packed + matrix.bytes() * part, tile,
                  std::min(tile + 8, matrix.tiles())))
            finite = false;
    });
    if (!finite) fail("weight " + name + " holds a value that is not finite");
    matrix.data = packed;
    weights_[index] = matrix;
}

void Executor::set_packed(const std::string &name, const uint8_t *data, size_t bytes, Format format) {
    const int index = weight_named(name);
    Matrix matrix = matrix_of(index, format);
    matrix.data = data;
    const size_t expected = resident_bytes(index, matrix);
    if (bytes != expected)
        fail("packed weight " + name + " has " + std::to_string(bytes) + " bytes instead of " +
             std::to_string(expected));
    if (reinterpret_cast<uintptr_t>(data) % 64) fail("packed weight " + name + " is not aligned to 64 bytes");
    weights_[index] = matrix;
}

Executor::Packed Executor::packed(const std::string &name) const {
    const int index = weight_named(name);
    if (!weights_[index].data) fail("weight " + name + " is not set yet");
    return {weights_[index].data, resident_bytes(index, weights_[index])};
}

void Executor::seal() {
    for (size_t i = 0; i < weights_.size(); i++)
        if (!weights_[i].data) fail("weight " + program_.weights[i].name + " is missing");
    takes_codes_.assign(nodes_.size(), false);
    takes_floats_.assign(nodes_.size(), false);
    for (size_t i = 0; i < nodes_.size(); i++)
        for (const Segment &segment : nodes_[i].segments)
            (takes_codes(weights_[segment.weight].format) ? takes_codes_ : takes_floats_)[i] = true;
    keeps_floats_ = std::count(takes_floats_.begin(), takes_floats_.end(), true) > 0;
    for (const Op &op : program_.ops)
        for (int i : {op.experts.gate, op.experts.up, op.experts.down})
            keeps_floats_ |= i >= 0 && !takes_codes(weights_[i].format);
    sealed_ = true;
}

size_t Executor::weight_bytes() const {
    size_t total = 0;
    for (size_t i = 0; i < weights_.size(); i++)
        if (weights_[i].data) total += resident_bytes(static_cast<int>(i), weights_[i]);
    return total;
}

// Of all parts.
size_t Executor::resident_bytes(int weight, const Matrix &matrix) const {
    const WeightSpec &spec = program_.weights[weight];
    return spec.vector ? sizeof(float) * size_t(spec.columns) : matrix.bytes() * size_t(spec.parts);
}

size_t Executor::bytes_per_token() const {
    std::set<int> read;
    size_t total = 0;
    for (const Op &op : program_.ops) {
        if (op.kind == Op::Kind::embed) total += weights_[op.weight].tile_bytes() / TILE;
        else if (op.kind == Op::Kind::experts)
            for (int i : op.reads)
                total += resident_bytes(i, weights_[i]) / size_t(op.experts.count) * size_t(op.experts.chosen);
        else read.insert(op.reads.begin(), op.reads.end());
    }
    for (int i : read) total += resident_bytes(i, weights_[i]);
    return total;
}

size_t Executor::cache_block_bytes(int block_size, bool half) const {
    if (block_size < 16 || block_size > 1 << 16 || block_size % 16)
        fail("block_size = " + text(block_size) + " is not a multiple of 16 between 16 and 65536");
    size_t total = 0;
    for (const Op &op : program_.ops) {
        if (op.kind != Op::Kind::attend) continue;
        size_t padded = (size_t(op.head_dim) + 15) / 16 * 16;
        total += (op.head_dim + padded) * block_size * op.kv_heads * (half ? 2 : 4);
    }
    return total;
}

void Executor::allocate_cache(int blocks, int block_size, bool half) {
    size_t block_bytes = cache_block_bytes(block_size, half);
    if (blocks < 1) fail("blocks = " + text(blocks) + " is not positive");
    if (block_bytes > 0 && size_t(blocks) > (SIZE_MAX >> 2) / block_bytes)
        fail("blocks = " + text(blocks) + " is too many");
    cache_ = Memory();
    blocks_ = 0;
    cache_ = Memory(block_bytes * size_t(blocks));
    size_t offset = 0;
    for (const Op &op : program_.ops) {
        if (op.kind != Op::Kind::attend) continue;
        size_t padded = (size_t(op.head_dim) + 15) / 16 * 16;
        CacheLayer &layer = layers_[op.out];
        layer.head_bytes = (op.head_dim + padded) * block_size * (half ? 2 : 4);
        layer.block_bytes = layer.head_bytes * op.kv_heads;
        layer.offset = offset;
        offset += layer.block_bytes * size_t(blocks);
    }
    blocks_ = blocks, block_size_ = block_size, half_ = half;
}

void Executor::discard_blocks(const int32_t *blocks, int count) {
    for (int i = 0; i < count; i++)
        if (blocks[i] < 0 || blocks[i] >= blocks_)
            fail("blocks[" + text(i) + "] = " + text(blocks[i]) + " is not in 0 … " + text(blocks_ - 1));
    const std::set<int> sorted(blocks, blocks + count);
    for (const CacheLayer &layer : layers_) {
        if (!layer.block_bytes) continue;
        // Runs of neighbours, so that pages which two blocks share go too.
        for (auto first = sorted.begin(); first != sorted.end();) {
            auto last = first;
            int length = 1;
            while (++last != sorted.end() && *last == *first + length) length++;
            cache_.discard(layer.offset + layer.block_bytes * size_t(*first), layer.block_bytes *size_t(length));
            first = last;
        }
    }
}

void Executor::check(const Batch &batch) const {
    if (!sealed_) fail("forward() comes before seal()");
    if (!blocks_) fail("forward() comes before allocate_cache()");
    if (batch.token_count < 1) fail("the batch has no tokens");
    if (batch.token_count > most_tokens)
        fail("the batch has " + text(batch.token_count) + " tokens, more than " + text(most_tokens));
    check_experts(batch.token_count);
    if (batch.sequence_count < 1) fail("the batch has no sequences");
    int vocabulary = INT_MAX, places = INT_MAX;
    for (const Op &op : program_.ops)
        if (op.kind == Op::Kind::embed) {
            int &rows = op.positions ? places : vocabulary;
            rows = std::min(rows, program_.weights[op.weight].rows);
        }
    for (int i = 0; i < batch.token_count; i++)
        if (batch.tokens[i] < 0 || batch.tokens[i] >= vocabulary)
            fail("token " + text(batch.tokens[i]) + " at index " + text(i) + " is not in 0 … " + text(vocabulary - 1));
    if (batch.starts[0] != 0 || batch.starts[batch.sequence_count] != batch.token_count)
        fail("sequence_starts must run from 0 to the number of tokens, " + text(batch.token_count));
    for (int s = 0; s < batch.sequence_count; s++) {
        if (batch.starts[s + 1] <= batch.starts[s])
            fail("sequence_starts must increase; sequence " + text(s) + " is empty");
        int64_t context = batch.contexts[s], length = context + batch.starts[s + 1] - batch.starts[s];
        if (context < 0) fail("context_lengths[" + text(s) + "] = " + text(context) + " is negative");
        if (places != INT_MAX && length > places)
            fail("sequence " + text(s) + " of " + text(length) + " tokens is longer than the model's " + text(places) +
                 " positions");
        int64_t needed = (length + block_size_ - 1) / block_size_;
        if (needed > batch.table_width)
            fail("sequence " + text(s) + " of " + text(length) + " tokens needs " + text(needed) +
                 " blocks, but block_tables has " + text(batch.table_width) + " columns");
        for (int64_t b = 0; b < needed; b++) {
            int block = batch.tables[int64_t(s) * batch.table_width + b];
            if (block < 0 || block >= blocks_)
                fail("block_tables[" + text(s) + ", " + text(b) + "] = " + text(block) + " is not in 0 … " +
                     text(blocks_ - 1));
        }
    }
    check_adapters(batch);
    for (int i = 0; i < batch.logit_count; i++) {
        if (batch.logit_rows[i] < 0 || batch.logit_rows[i] >= batch.token_count)
            fail("logit row " + text(batch.logit_rows[i]) + " is not in 0 … " + text(batch.token_count - 1));
        if (i && batch.logit_rows[i] <= batch.logit_rows[i - 1]) fail("logit_rows must increase");
    }
}

// Codes, scales, sums and, where some product wants them, floats, one after the other.
Activations Executor::activations(Memory &memory, int rows, int columns, bool floats) const {
    size_t groups = size_t(rows) * size_t(columns / GROUP), codes = groups * GROUP;
    memory.need(codes + 2 * sizeof(float) * groups + (floats ? sizeof(float) * codes : 0) + 64);
    Activations result;
    result.codes = memory.as<int8_t>();
    result.scales = reinterpret_cast<float *>(result.codes + codes);
    result.sums = reinterpret_cast<int32_t *>(result.scales + groups);
    result.floats = floats ? result.scales + 2 * groups : nullptr;
    return result;
}

}  // namespace myna
