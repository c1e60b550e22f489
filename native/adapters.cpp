// Low-rank adapters (LoRA; Hu et al. 2021, https://arxiv.org/abs/2106.09685): for the rows of a sequence that asks for
// one, a product's result is W x + scale * B (A x). A step first shrinks these rows to t = A x, then adds B t to the
// product's tiles while they are in the nearest cache. Rows without an adapter are computed as if there were none.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "executor.h"

namespace myna {

namespace {

[[noreturn]] void fail(const std::string &message) { throw std::invalid_argument(message); }

constexpr int most_slots = 4096, most_rank = 4096;
// Rows that are shrunk together, and tiles that a delta is made of at once.
constexpr int shrink_block = 16, delta_tiles = 4;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace

void Executor::set_adapter(int slot, const std::vector<AdapterWeight> &weights) {
    if (slot < 0 || slot >= most_slots)
        fail("adapter slot " + std::to_string(slot) + " is not in 0 … " + std::to_string(most_slots - 1));
    auto adapter = std::make_unique<Adapter>();
    adapter->part_of.assign(program_.weights.size(), -1);
    size_t bytes = 0;
    for (const AdapterWeight &given : weights) {
        const int index = weight_named(given.name);
        const WeightSpec &spec = program_.weights[index];
        for (const Op &op : program_.ops)
            if (op.kind != Op::Kind::linear || op.bias == index)
                for (int read : op.reads)
                    if (read == index)
                        fail("weight " + given.name + " cannot have an adapter: not only products use it");
        if (given.rank < 1 || given.rank > most_rank)
            fail("adapter of " + given.name + ": rank " + std::to_string(given.rank) + " is not in 1 … " +
                 std::to_string(most_rank));
        if (given.rows != spec.rows || given.columns != spec.columns || given.b_rank != given.rank)
            fail("adapter of " + given.name + ": B [" + std::to_string(given.rows) + ", " +
                 std::to_string(given.b_rank) + "] times A [" + std::to_string(given.rank) + ", " +
                 std::to_string(given.columns) + "] does not fit the weight [" + std::to_string(spec.rows) + ", " +
                 std::to_string(spec.columns) + "]");
        Adapter::Part part{{Format::f32, given.rank, given.columns, nullptr},
                           {Format::f32, given.rows, given.rank, nullptr}};
        bytes += part.shrink.bytes() + part.grow.bytes();
        adapter->part_of[index] = static_cast<int>(adapter->parts.size());
        adapter->parts.push_back(part);
        adapter->groups = std::max(adapter->groups, part.grow.groups());
    }
    adapter->memory = Memory(bytes);
    auto *place = adapter->memory.as<uint8_t>();
    std::vector<float> scaled;
    for (const AdapterWeight &given : weights) {
        Adapter::Part &part = adapter->parts[size_t(adapter->part_of[weight_named(given.name)])];
        scaled.assign(given.b, given.b + size_t(given.rows) * size_t(given.rank));
        for (float &x : scaled) x *= given.scale;
        for (auto [matrix, values] :
             {std::pair{&part.shrink, given.a}, std::pair{&part.grow, (const float *)scaled.data()}}) {
            if (!pack(kernels_, Source::f32, reinterpret_cast<const uint8_t *>(values), *matrix, place, 0,
                      matrix->tiles()))
                fail("adapter of " + given.name + " holds a value that is not finite");
            matrix->data = place, place += matrix->bytes();
        }
    }
    if (size_t(slot) >= adapters_.size()) adapters_.resize(size_t(slot) + 1);
    adapters_[size_t(slot)] = std::move(adapter);
}

void Executor::clear_adapter(int slot) {
    if (slot < 0 || size_t(slot) >= adapters_.size() || !adapters_[size_t(slot)])
        fail("adapter slot " + std::to_string(slot) + " is empty");
    adapters_[size_t(slot)].reset();
}

void Executor::check_adapters(const Batch &batch) const {
    for (int s = 0; batch.adapters && s < batch.sequence_count; s++) {
        const int slot = batch.adapters[s];
        if (slot == -1) continue;
        if (slot < 0 || size_t(slot) >= adapters_.size() || !adapters_[size_t(slot)])
            fail("adapters[" + std::to_string(s) + "] = " + std::to_string(slot) + " is neither -1 nor a slot in use");
    }
}

// Room for the shrunk rows. Returns whether the step has any.
bool Executor::make_room_for_adapters(const Batch &batch) {
    int groups = 0;
    for (int s = 0; batch.adapters && s < batch.sequence_count; s++)
        if (batch.adapters[s] >= 0) groups = std::max(groups, adapters_[size_t(batch.adapters[s])]->groups);
    if (!groups) return false;
    size_t segments = 0;
    for (const Node &node : nodes_) segments = std::max(segments, node.segments.size());
    shrunk_stride_ = size_t(groups) * GROUP;
    shrunk_.need(sizeof(float) * segments * size_t(batch.token_count) * shrunk_stride_);
    for (Workplace &place : places_) {
        place.delta.need(sizeof(float) * TILE * delta_tiles);
        place.adapted.need(sizeof(float) * shrink_block * size_t(widest_));
    }
    return true;
}

const Executor::Adapter::Part *Executor::adapter_part(const Node &node, const Segment &segment, int row) const {
    const int slot = batch_.adapters[sequence_[node.logit_rows ? batch_.logit_rows[row] : row]];
    if (slot < 0) return nullptr;
    const Adapter &adapter = *adapters_[size_t(slot)];
    const int part = adapter.part_of[segment.weight];
    return part < 0 ? nullptr : &adapter.parts[size_t(part)];
}

float *Executor::shrunk(const Node &node, size_t segment, int row) const {
    const size_t rows = size_t(node.logit_rows ? batch_.logit_count : batch_.token_count);
    return shrunk_.as<float>() + (segment * rows + size_t(row)) * shrunk_stride_;
}

bool Executor::run_shrinking(size_t index, const Walk &walk, int rows) {
    const Node &node = nodes_[index];
    const int segments = int(node.segments.size());
    auto one = [](int) { return 1; };
    return phase(index, 2).run(walk.round, ceil_div(rows, shrink_block) * segments, one, [&](int unit, int) {
        const int row = unit / segments * shrink_block;
        shrink(node, size_t(unit % segments), row, std::min(row + shrink_block, rows), places_[walk.thread]);
    });
}

// t = A x for the rows first … last - 1, together as far as they have the same adapter.
void Executor::shrink(const Node &node, size_t segment, int first, int last, Workplace &place) {
    for (int row = first, stop; row < last; row = stop) {
        const Adapter::Part *part = adapter_part(node, node.segments[segment], row);
        stop = row + 1;
        while (stop < last && adapter_part(node, node.segments[segment], stop) == part) stop++;
        if (!part) continue;
        Activations x{};
        x.groups = part->shrink.groups();
        if (node.takes_over) {
            x.floats = prepared_[1].floats + size_t(row) * size_t(x.groups) * GROUP;
        } else {
            x.floats = place.adapted.as<float>();
            for (int i = row; i < stop; i++)
                put(input_of(node, i, place), 0, part->shrink.columns, x, i - row, i - row + 1, 0, false, true);
        }
        float *to = shrunk(node, segment, row);
        kernels_.product(part->shrink, x, 0, part->shrink.tiles(), 0, stop - row, to, shrunk_stride_);
        for (int i = row; i < stop; i++, to += shrunk_stride_)
            std::fill(to + part->shrink.tiles() * TILE, to + part->grow.groups() * GROUP, 0.0f);
    }
}

// Adds B t to the row's tiles first … last - 1 of a product's result.
void Executor::add_delta(const Node &node, size_t segment, int row, int first, int last, float *result,
                         Workplace &place) {
    const Adapter::Part *part = adapter_part(node, node.segments[segment], row);
    if (!part) return;
    Activations t{};
    t.groups = part->grow.groups(), t.floats = shrunk(node, segment, row);
    float *delta = place.delta.as<float>();
    for (int tile = first; tile < last; tile += delta_tiles, result += TILE * delta_tiles) {
        const int stop = std::min(tile + delta_tiles, last);
        kernels_.product(part->grow, t, tile, stop, 0, 1, delta, size_t(TILE) * delta_tiles);
        kernels_.add(result, delta, result, (stop - tile) * TILE);
    }
}

}  // namespace myna
