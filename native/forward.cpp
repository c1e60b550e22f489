// A step: every thread walks the same list of nodes and takes what it can get of each node's phases. Nothing depends on
// who computes what.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "executor.h"

namespace myna {

namespace {

// Up to so many rows, every thread prepares a product's whole input for itself: cheaper than a barrier.
constexpr int alone = 2;
// A product works on so many rows at once, and so many tiles: activations and weights stay in the nearest caches.
constexpr int row_block = 96, tile_block = 4;
// With few rows a thread takes ever smaller shares of what is left, at most and at least about so many bytes.
constexpr size_t most_bytes = 256 << 10, least_bytes = 8 << 10;
// The rows that can be computed with a weight in the time that memory takes to bring it.
constexpr int rows_for_bytes = 8;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace

void Executor::forward(const Batch &batch) {
    logit_count_ = 0;
    check(batch);
    shape_.round = team_.next_round();
    batch_ = batch;
    make_room(batch);
    plan_attention(batch);
    shape_.tokens = batch.token_count, shape_.logits = batch.logit_count;
    shape_.query_tiles = int(tiles_.size()), shape_.chunks = split_ ? ceil_div(longest_, chunk_keys) : 1;
    shape_.adapted = adapted_;
    team_.run(*this);
    logit_count_ = batch.logit_count;
}

void Executor::work(int thread, uint64_t round) {
    Walk walk{thread, round, shape_.tokens, shape_.logits, shape_.query_tiles, shape_.chunks, shape_.adapted};
    if (shape_.round != round) return;
    for (size_t i = 0; i < nodes_.size(); i++)
        if (!run_node(i, walk)) return;
}

void Executor::make_room(const Batch &batch) {
    const int rows = batch.token_count;
    adapted_ = make_room_for_adapters(batch);
    for (size_t i = 0; i < buffers_.size(); i++) buffers_[i].need(sizeof(float) * size_t(rows) * buffer_sizes_[i]);
    for (int i = 0; i < 2; i++)
        prepared_[i] = activations(prepared_memory_[i], rows, widest_, keeps_floats_ || adapted_);
    size_t angles = 0;
    for (const RopeTable &table : ropes_) angles += table.frequencies.size() * 2;
    rope_memory_.need(sizeof(float) * angles * rows);
    logits_.need(sizeof(float) * size_t(vocabulary()) * size_t(batch.logit_count));
    for (Workplace &place : places_) {
        place.prepared = activations(place.prepared_memory, alone, widest_, keeps_floats_);
        place.row.need(sizeof(float) * size_t(widest_));
        place.tile.need(sizeof(float) * row_block * tile_block * TILE * 2);
    }
    make_room_for_experts(rows);
    position_.resize(rows), sequence_.resize(rows);
    for (int s = 0; s < batch.sequence_count; s++)
        for (int row = batch.starts[s]; row < batch.starts[s + 1]; row++) {
            position_[row] = batch.contexts[s] + row - batch.starts[s];
            sequence_[row] = s;
        }
}

bool Executor::run_node(size_t index, const Walk &walk) {
    const Node &node = nodes_[index];
    Phase &phase = this->phase(index, 0);
    switch (node.kind) {
        case Node::Kind::embed:
            return each_row(phase, walk, walk.tokens, [&](int row) {
                embed(node, row);
                if (index == 0) find_angles(row);
            });
        case Node::Kind::product:
        case Node::Kind::activated_product: return run_product(index, walk);
        case Node::Kind::attend: return run_attention(index, walk);
        case Node::Kind::experts: return run_experts(index, walk);
        default:
            return each_row(phase, walk, node.logit_rows ? walk.logits : walk.tokens,
                            [&](int row) { run_row(node, row); });
    }
}

void Executor::embed(const Node &node, int row) {
    const Op &op = *node.op;
    float *out = row_of(op.out, row);
    unpack_row(weights_[op.weight], op.positions ? position_[row] : batch_.tokens[row], out);
    for (int i = 0; op.scale != 1 && i < program_.values[op.out].size; i++) out[i] *= op.scale;
}

// A row's rotary angles, for all layers.
void Executor::find_angles(int row) {
    float *table = rope_memory_.as<float>();
    for (const RopeTable &rope : ropes_) {
        size_t pairs = rope.frequencies.size();
        float *cosines = table + size_t(row) * 2 * pairs, *sines = cosines + pairs;
        for (size_t i = 0; i < pairs; i++) {
            double angle = position_[row] * rope.frequencies[i];
            cosines[i] = float(rope.op->scale * std::cos(angle)), sines[i] = float(rope.op->scale * std::sin(angle));
        }
        table += size_t(batch_.token_count) * 2 * pairs;
    }
}

const float *Executor::angles(const Op &op, int row) const {
    const float *table = rope_memory_.as<float>();
    for (int i = 0; i < rope_of_[op.out]; i++) table += size_t(batch_.token_count) * 2 * ropes_[i].frequencies.size();
    return table + size_t(row) * op.dims;
}

void Executor::normalise(const Op &op, const float *x, float *out) const {
    for (int head = 0; head < op.heads; head++, x += op.head_dim, out += op.head_dim)
        (op.layer_norm ? kernels_.layer_norm : kernels_.rms_norm)(x, vector(op.weight), vector(op.bias), op.head_dim,
                                                                  op.epsilon, out);
}

void Executor::rotate(const Op &op, float *x, int row) const {
    const float *cosines = angles(op, row);
    kernels_.rope(x, op.heads, op.head_dim, op.dims, op.interleaved, cosines, cosines + op.dims / 2);
}

// One row of an op that stands alone.
void Executor::run_row(const Node &node, int row) {
    const Op &op = *node.op;
    const int size = program_.values[op.out].size;
    float *out = row_of(op.out, row);
    const float *x = row_of(node.inputs[0], node.kind == Node::Kind::select ? batch_.logit_rows[row] : row);
    switch (node.kind) {
        case Node::Kind::normalise: normalise(op, x, out); break;
        case Node::Kind::add: kernels_.add(x, row_of(node.inputs[1], row), out, size); break;
        case Node::Kind::multiply: kernels_.multiply(x, row_of(node.inputs[1], row), out, size); break;
        case Node::Kind::activate: kernels_.activate(op.activation, x, out, size); break;
        case Node::Kind::softcap: kernels_.softcap(x, op.cap, out, size); break;
        case Node::Kind::rope:
            std::memcpy(out, x, sizeof(float) * size_t(size));
            rotate(op, out, row);
            break;
        default: std::memcpy(out, x, sizeof(float) * size_t(size)); break;
    }
}

// One row of a product's input, normalised if the node says so.
const float *Executor::input_of(const Node &node, int row, Workplace &place) const {
    const float *x = row_of(node.inputs[0], row);
    if (!node.norm) return x;
    normalise(*node.norm, x, place.row.as<float>());
    return place.row.as<float>();
}

// The same rounded to codes and kept as floats as wanted.
void Executor::prepare(const Node &node, const Activations &to, int row, Workplace &place) {
    const int size = program_.values[node.inputs[0]].size;
    const float *x = input_of(node, row, place);
    const size_t index = size_t(&node - nodes_.data());
    put(x, 0, size, to, row, row + 1, 0, takes_codes_[index], takes_floats_[index]);
}

void Executor::put(const float *x, size_t stride, int size, const Activations &to, int first_row, int last_row,
                   int group, bool codes, bool floats) const {
    if (codes) kernels_.quantise(x, stride, size, to, first_row, last_row, group);
    for (int row = first_row; floats && row < last_row; row++, x += stride) {
        float *start = to.floats + (size_t(row) * to.groups + group) * GROUP;
        std::memcpy(start, x, sizeof(float) * size_t(size));
        std::fill(start + size, start + ceil_div(size, GROUP) * GROUP, 0.0f);
    }
}

// What a product's work is cut into: tiles, or for an activated product groups of 32 outputs.
int Executor::units_of(const Node &node) const {
    if (node.kind == Node::Kind::activated_product) return ceil_div(weights_[node.segments[0].weight].rows, GROUP);
    int units = 0;
    for (const Segment &segment : node.segments) units += weights_[segment.weight].tiles();
    return units;
}

bool Executor::run_product(size_t index, const Walk &walk) {
    const Node &node = nodes_[index];
    const Matrix &first_matrix = weights_[node.segments[0].weight];
    const bool activated = node.kind == Node::Kind::activated_product;
    const int units = units_of(node), rows = node.logit_rows ? walk.logits : walk.tokens;
    const int row_blocks = std::max(1, ceil_div(rows, row_block));
    if (rows == 0) return true;
    Workplace &place = places_[walk.thread];

    if (walk.adapted && !run_shrinking(index, walk, rows)) return false;
    const bool by_itself = rows <= alone && !node.takes_over;
    if (!by_itself && !node.takes_over) {
        auto work = [&](int row) { prepare(node, with_groups(prepared_[0], first_matrix.groups()), row, place); };
        if (!each_row(phase(index, 0), walk, rows, work)) return false;
    }
    bool ready = !by_itself;
    auto compute = [&](int first, int last, int first_row, int last_row) {
        const Activations &from = by_itself ? place.prepared : prepared_[node.takes_over];
        const Activations x = with_groups(from, first_matrix.groups());
        for (int row = 0; !ready && row < rows; row++) prepare(node, x, row, place);
        ready = true;
        (this->*(activated ? &Executor::activated_units : &Executor::product_units))(node, x, first, last, first_row,
                                                                                     last_row, place);
    };
    Phase &phase = this->phase(index, 1);
    if (row_blocks > 1) {
        // All of some rows, then of the next: their results stay near for what is added to them.
        const int width = activated ? tile_block / 2 : tile_block, turns = ceil_div(units, width);
        const int height = ceil_div(rows, row_blocks);
        return phase.run(
            walk.round, turns * row_blocks, [](int) { return 1; },
            [&](int item, int) {
                int unit = item % turns * width, row = item / turns * height;
                compute(unit, std::min(unit + width, units), row, std::min(row + height, rows));
            });
    }
    const size_t unit_bytes = first_matrix.tile_bytes() * (activated ? 2 * node.segments.size() : 1) *
                              size_t(std::max(1, rows / rows_for_bytes));
    const int least = int(std::max<size_t>(1, least_bytes / unit_bytes));
    const int most = int(std::max<size_t>(least, most_bytes / unit_bytes));
    auto share = [&](int left) {
        return std::min(left, (std::clamp(left / (2 * team_.threads()), least, most) + 1) & ~1);
    };
    return phase.run(walk.round, units, share, [&](int first, int last) { compute(first, last, 0, rows); });
}

void Executor::product_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                             Workplace &place) {
    const size_t stride = tile_block * TILE;
    float *scratch = place.tile.as<float>();
    for (size_t i = 0; i < node.segments.size(); i++) {
        const Segment &segment = node.segments[i];
        const Matrix &matrix = weights_[segment.weight];
        const float *bias = vector(segment.bias);
        for (int tile = std::max(first, 0); tile < std::min(last, matrix.tiles()); tile += tile_block) {
            int stop = std::min({tile + tile_block, last, matrix.tiles()}), start = tile * TILE;
            int size = std::min(stop * TILE, matrix.rows) - start;
            kernels_.product(matrix, x, tile, stop, first_row, last_row, scratch, stride);
            for (int row = first_row; adapted_ && row < last_row; row++)
                add_delta(node, i, row, tile, stop, scratch + size_t(row - first_row) * stride, place);
            const float *residual = segment.residual < 0 ? nullptr : row_of(segment.residual, first_row) + start;
            const size_t residual_stride = residual ? stride_of(segment.residual) : 0;
            float *to = row_of(segment.out, first_row) + start;
            kernels_.finish(scratch, stride, last_row - first_row, size, bias ? bias + start : nullptr, residual,
                            residual_stride, to, stride_of(segment.out));
            for (int row = first_row; segment.cap && row < last_row; row++)
                kernels_.softcap(row_of(segment.out, row) + start, segment.cap, row_of(segment.out, row) + start, size);
        }
        first -= matrix.tiles(), last -= matrix.tiles();
    }
}

void Executor::activated_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                               Workplace &place) {
    const Matrix &gate = weights_[node.segments[0].weight];
    const Segment *up = node.segments.size() > 1 ? &node.segments[1] : nullptr;
    const float *gate_bias = vector(node.segments[0].bias), *up_bias = up ? vector(up->bias) : nullptr;
    float *gates = place.tile.as<float>(), *ups = gates + row_block * GROUP;
    const Activations handed = with_groups(prepared_[1], ceil_div(gate.rows, GROUP));
    const size_t next = size_t(&node - nodes_.data()) + 1;
    for (int unit = first; unit < last; unit++) {
        int tile = 2 * unit, stop = std::min(tile + 2, gate.tiles()), start = unit * GROUP;
        int size = std::min<int>(GROUP, gate.rows - start);
        kernels_.product(gate, x, tile, stop, first_row, last_row, gates, GROUP);
        if (up) kernels_.product(weights_[up->weight], x, tile, stop, first_row, last_row, ups, GROUP);
        for (int row = first_row; adapted_ && row < last_row; row++) {
            add_delta(node, 0, row, tile, stop, gates + (row - first_row) * GROUP, place);
            if (up) add_delta(node, 1, row, tile, stop, ups + (row - first_row) * GROUP, place);
        }
        const int rows = last_row - first_row;
        add_bias(gates, rows, size, gate_bias ? gate_bias + start : nullptr);
        add_bias(ups, rows, size, up_bias ? up_bias + start : nullptr);
        kernels_.activate(node.op->activation, gates, gates, rows * GROUP);
        if (up) kernels_.multiply(gates, ups, gates, rows * GROUP);
        if (node.hands_over)
            put(gates, GROUP, size, handed, first_row, last_row, unit, takes_codes_[next],
                takes_floats_[next] || adapted_);
        else
            kernels_.finish(gates, GROUP, rows, size, nullptr, nullptr, 0, row_of(node.outputs[0], first_row) + start,
                            stride_of(node.outputs[0]));
    }
}

}  // namespace myna
