// A mixture of experts in a step: each row chooses its experts, pairs of a row and an expert are sorted by expert, and
// every expert that somebody chose works on its rows together, so that its weights are read once for all of them and
// the others' not at all. A row's results are added in the order of the experts, whatever else is in the batch.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "executor.h"

namespace myna {

namespace {

// Pairs that an expert works on at once, and tiles: activations and weights stay in the nearest caches.
constexpr int pair_block = 64, tile_block = 4;
// Up to so many rows, one thread chooses, sorts and prepares for all: cheaper than barriers.
constexpr int few = 2;
// A thread takes ever smaller shares of what is left, at most and at least about so many bytes.
constexpr size_t most_bytes = 256 << 10, least_bytes = 8 << 10;
// What a phase can count.
constexpr int64_t most_units = 1 << 24;

int ceil_div(int a, int b) { return (a + b - 1) / b; }

// However the rows choose, there are no more tasks.
int most_tasks(int pairs, int experts) { return std::min(pairs, pairs / pair_block + experts); }

}  // namespace

void Executor::check_experts(int rows) const {
    for (const Op &op : program_.ops) {
        if (op.kind != Op::Kind::experts) continue;
        const Experts &e = op.experts;
        const int64_t pairs = int64_t(rows) * e.chosen;
        if (pairs >= most_units || most_tasks(int(pairs), e.count) * int64_t(ceil_div(e.hidden, GROUP)) >= most_units)
            throw std::invalid_argument("a batch of " + std::to_string(rows) + " tokens is too large for " +
                                        std::to_string(e.chosen) + " of " + std::to_string(e.count) + " experts");
    }
}

void Executor::make_room_for_experts(int rows) {
    int pairs = 0, tasks = 0, experts = 0, width = 0, hidden = 0;
    for (const Op &op : program_.ops) {
        if (op.kind != Op::Kind::experts) continue;
        const Experts &e = op.experts;
        pairs = std::max(pairs, rows * e.chosen), experts = std::max(experts, e.count);
        tasks = std::max(tasks, most_tasks(rows * e.chosen, e.count));
        width = std::max(width, ceil_div(weights_[e.gate].columns, GROUP) * GROUP);
        hidden = std::max(hidden, ceil_div(e.hidden, GROUP) * GROUP);
    }
    if (!pairs) return;
    routing_.choices.need(sizeof(Choice) * size_t(pairs));
    routing_.pairs.need(sizeof(Pair) * size_t(pairs));
    routing_.tasks.need(sizeof(Task) * size_t(tasks));
    routing_.starts.need(sizeof(int) * (size_t(experts) + 1));
    routing_.x = activations(routing_.x_memory, pairs, width, keeps_floats_);
    routing_.hidden = activations(routing_.hidden_memory, pairs, hidden, keeps_floats_);
}

bool Executor::run_experts(size_t index, const Walk &walk) {
    const Node &node = nodes_[index];
    const Op &op = *node.op;
    const Experts &e = op.experts;
    const int rows = node.logit_rows ? walk.logits : walk.tokens, pairs = rows * e.chosen;
    if (rows == 0) return true;
    Workplace &place = places_[walk.thread];
    auto one = [](int) { return 1; };
    auto choose = [&](int row) { choose_experts(op, row); };
    auto prepare = [&](int pair) { prepare_pair(op, pair); };
    if (rows > few && !each_row(phase(index, 0), walk, rows, choose)) return false;
    auto sort = [&](int, int) {
        for (int row = 0; rows <= few && row < rows; row++) choose(row);
        sort_pairs(e, rows);
        for (int pair = 0; rows <= few && pair < pairs; pair++) prepare(pair);
    };
    if (!phase(index, 1).run(walk.round, 1, one, sort)) return false;
    if (rows > few && !each_row(phase(index, 2), walk, pairs, prepare)) return false;

    // Nobody but the one who sorted knows yet how many tasks there are; what is beyond them takes no time.
    const int tasks = most_tasks(pairs, e.count), units = ceil_div(e.hidden, GROUP);
    auto share_of = [&](size_t unit_bytes) {
        const int least = int(std::max<size_t>(1, least_bytes / unit_bytes));
        const int most = int(std::max<size_t>(least, most_bytes / unit_bytes));
        return [this, least, most](int left) {
            return std::min(left, std::clamp(left / (2 * team_.threads()), least, most));
        };
    };
    auto hide = [&](int first, int last) {
        for (int item = first; item < last; item++) expert_unit(op, item / units, item % units, place);
    };
    const size_t together = size_t(ceil_div(pairs, tasks));  // rows of a task, about
    if (!phase(index, 3).run(walk.round, tasks * units, share_of(weights_[e.gate].tile_bytes() * 4 * together), hide))
        return false;
    auto mix = [&](int first, int last) { mix_tiles(op, first, last, place); };
    return phase(index, 4).run(walk.round, weights_[e.down].tiles(),
                               share_of(weights_[e.down].tile_bytes() * size_t(pairs)), mix);
}

// The row's experts in ascending order, with their shares.
void Executor::choose_experts(const Op &op, int row) {
    const Experts &e = op.experts;
    const float *logits = row_of(op.operands[1], row);
    Choice *choices = routing_.choices.as<Choice>() + size_t(row) * e.chosen;
    auto taken = [&](int expert, int count) {
        return std::any_of(choices, choices + count, [expert](const Choice &c) { return c.expert == expert; });
    };
    for (int i = 0; i < e.chosen; i++) {
        int best = -1;
        for (int expert = 0; expert < e.count; expert++)
            if ((best < 0 || logits[expert] > logits[best]) && !taken(expert, i)) best = expert;
        choices[i].expert = best;
    }
    const float top = logits[choices[0].expert];
    std::sort(choices, choices + e.chosen, [](const Choice &a, const Choice &b) { return a.expert < b.expert; });
    float total = 0;
    for (int expert = 0; !e.renormalise && expert < e.count; expert++) total += std::exp(logits[expert] - top);
    for (int i = 0; i < e.chosen; i++) {
        choices[i].share = std::exp(logits[choices[i].expert] - top);
        if (e.renormalise) total += choices[i].share;
    }
    for (int i = 0; i < e.chosen; i++) choices[i].share /= total;
}

// Counting sort: pairs by expert, of an expert by row; then tasks of some consecutive pairs.
void Executor::sort_pairs(const Experts &e, int rows) {
    const Choice *choices = routing_.choices.as<Choice>();
    Pair *pairs = routing_.pairs.as<Pair>();
    int *starts = routing_.starts.as<int>();
    std::fill(starts, starts + e.count + 1, 0);
    for (int i = 0; i < rows * e.chosen; i++) starts[choices[i].expert + 1]++;
    for (int expert = 0; expert < e.count; expert++) starts[expert + 1] += starts[expert];
    for (int i = 0; i < rows * e.chosen; i++)
        pairs[starts[choices[i].expert]++] = {i / e.chosen, i % e.chosen == 0, choices[i].share};
    // Now starts[i] is where expert i ends.
    Task *task = routing_.tasks.as<Task>();
    for (int expert = 0, first = 0; expert < e.count; first = starts[expert++])
        for (int pair = first; pair < starts[expert]; pair += pair_block)
            *task++ = {expert, pair, std::min(pair + pair_block, starts[expert])};
    routing_.task_count = int(task - routing_.tasks.as<Task>());
}

void Executor::prepare_pair(const Op &op, int pair) {
    const Matrix &gate = weights_[op.experts.gate], &up = weights_[op.experts.up];
    const float *x = row_of(op.operands[0], routing_.pairs.as<Pair>()[pair].row);
    const bool codes = takes_codes(gate.format) || takes_codes(up.format);
    const bool floats = !takes_codes(gate.format) || !takes_codes(up.format);
    put(x, 0, gate.columns, with_groups(routing_.x, gate.groups()), pair, pair + 1, 0, codes, floats);
}

// A task's hidden activations of one group.
void Executor::expert_unit(const Op &op, int task_index, int unit, Workplace &place) {
    if (task_index >= routing_.task_count) return;
    const Experts &e = op.experts;
    const Task &task = routing_.tasks.as<Task>()[task_index];
    const Matrix gate = part(e.gate, task.expert), up = part(e.up, task.expert);
    const Activations x = with_groups(routing_.x, gate.groups());
    const Activations hidden = with_groups(routing_.hidden, ceil_div(e.hidden, GROUP));
    const bool codes = takes_codes(weights_[e.down].format);
    const int tile = 2 * unit, stop = std::min(tile + 2, gate.tiles()), start = unit * GROUP;
    const int size = std::min<int>(GROUP, e.hidden - start);
    const size_t bias = size_t(task.expert) * e.hidden + start;
    float *gates = place.tile.as<float>(), *ups = gates + pair_block * GROUP;
    kernels_.product(gate, x, tile, stop, task.first, task.last, gates, GROUP);
    kernels_.product(up, x, tile, stop, task.first, task.last, ups, GROUP);
    const int pairs = task.last - task.first;
    add_bias(gates, pairs, size, e.gate_bias < 0 ? nullptr : vector(e.gate_bias) + bias);
    add_bias(ups, pairs, size, e.up_bias < 0 ? nullptr : vector(e.up_bias) + bias);
    if (e.clamped) {
        kernels_.clamped_silu(gates, ups, e.alpha, e.limit, gates, pairs * GROUP);
    } else {
        kernels_.activate(Activation::silu, gates, gates, pairs * GROUP);
        kernels_.multiply(gates, ups, gates, pairs * GROUP);
    }
    put(gates, GROUP, size, hidden, task.first, task.last, unit, codes, !codes);
}

// Tiles of the result: the experts' in order, each times its share.
void Executor::mix_tiles(const Op &op, int first, int last, Workplace &place) {
    const Experts &e = op.experts;
    const int rows = weights_[e.down].rows;
    const Activations hidden = with_groups(routing_.hidden, ceil_div(e.hidden, GROUP));
    const size_t stride = tile_block * TILE;
    for (int tile = first; tile < last; tile += tile_block) {
        const int stop = std::min(tile + tile_block, last), start = tile * TILE;
        const int size = std::min(stop * TILE, rows) - start;
        for (int i = 0; i < routing_.task_count; i++) {
            const Task &task = routing_.tasks.as<Task>()[i];
            float *from = place.tile.as<float>();
            kernels_.product(part(e.down, task.expert), hidden, tile, stop, task.first, task.last, from, stride);
            for (int index = task.first; index < task.last; index++, from += stride) {
                const Pair &pair = routing_.pairs.as<Pair>()[index];
                float *out = row_of(op.out, pair.row) + start;
                if (e.down_bias >= 0)
                    kernels_.add(from, vector(e.down_bias) + size_t(task.expert) * rows + start, from, size);
                if (pair.first) std::fill(out, out + size, 0.0f);
                kernels_.add_scaled(from, pair.share, out, size);
            }
        }
    }
}

}  // namespace myna
