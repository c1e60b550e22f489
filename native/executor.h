// One loaded model: its Program, packed weights and KV cache, and the forward pass of a batch.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "memory.h"
#include "pack.h"
#include "program.h"
#include "sample.h"
#include "threads.h"

namespace myna {

// A flat batch; see Executor.forward in _native.pyi.
struct Batch {
    const int32_t *tokens, *starts, *contexts, *tables, *logit_rows;
    const int32_t *adapters;  // [sequences] slots, -1 for none; or null
    int token_count, sequence_count, table_width, logit_count;
};

// Keys that attention takes at once, from fixed positions on: so a row's sums do not depend on the batch.
constexpr int chunk_keys = 256;

// A weight's adapter: scale * b @ a is added to it. a: [rank, columns], b: [rows, b_rank].
struct AdapterWeight {
    std::string name;
    const float *a, *b;
    int rank, columns, rows, b_rank;
    float scale;
};

class Executor final : Job {
public:
    // All throw std::invalid_argument on what does not fit, naming it.
    Executor(const std::vector<Fields> &ops, int threads, const Kernels &kernels);

    void set_weight(const std::string &name, const uint8_t *data, size_t bytes, Source source, int rows, int columns,
                    Format format);
    // Takes packed weights as they are, where they are: `data` must stay until the executor is gone.
    void set_packed(const std::string &name, const uint8_t *data, size_t bytes, Format format);
    struct Packed {
        const uint8_t *data;
        size_t bytes;
    };
    Packed packed(const std::string &name) const;
    void seal();
    size_t weight_bytes() const;
    size_t bytes_per_token() const;
    size_t cache_block_bytes(int block_size, bool half) const;
    void allocate_cache(int blocks, int block_size, bool half);
    void discard_blocks(const int32_t *blocks, int count);
    // Replaces what the slot held; when it throws, that stays.
    void set_adapter(int slot, const std::vector<AdapterWeight> &weights);
    void clear_adapter(int slot);
    void forward(const Batch &batch);

    int vocabulary() const { return program_.values[program_.output].size; }
    // Of the last forward.
    Logits logits() { return {logits_.as<float>(), logit_count_, vocabulary(), kernels_, team_}; }

private:
    // Some consecutive rows of one sequence whose queries share their reads of the cache.
    struct QueryTile {
        int sequence, first_row, rows, position;
        int length;  // of the sequence, with all its new tokens
    };
    struct KeySpan {
        int first, last;  // positions first … last - 1
        int first_chunk, chunks;
    };
    // The KV cache of one attention op.
    struct CacheLayer {
        size_t offset = 0, block_bytes = 0, head_bytes = 0;
    };
    struct RopeTable {
        const Op *op;
        std::vector<double> frequencies;
    };
    struct Adapter {
        struct Part {
            Matrix shrink, grow;  // A, and B times the scale
        };
        Memory memory;
        std::vector<Part> parts;
        std::vector<int> part_of;  // by weight, -1 for none
        int groups = 0;            // of the largest rank
    };
    // What every thread must know of a step before it has claimed anything; see Team::each for the order of access.
    struct Shape {
        std::atomic<uint64_t> round{0};
        std::atomic<int> tokens{0}, logits{0}, query_tiles{0}, chunks{1};
        std::atomic<bool> adapted{false};
    };
    // A thread on its way through a step.
    struct Walk {
        int thread;
        uint64_t round;
        int tokens, logits, query_tiles, chunks;
        bool adapted;
    };
    // A mixture of experts: what the rows chose, and the same sorted by expert.
    struct Choice {
        int expert;
        float share;
    };
    struct Pair {
        int row;
        bool first;  // of its row
        float share;
    };
    struct Task {
        int expert, first, last;  // pairs first … last - 1
    };
    struct Routing {
        Memory choices, pairs, tasks, starts, x_memory, hidden_memory;
        Activations x, hidden;  // a row a pair
        int task_count = 0;
    };
    struct Workplace {  // a thread's own buffers
        Activations prepared;
        Memory prepared_memory, row, tile, scores, strip, partial, queries, adapted, delta;
    };

    void check(const Batch &batch) const;
    void make_room(const Batch &batch);
    void plan_attention(const Batch &batch);
    void check_experts(int rows) const;
    void make_room_for_experts(int rows);
    void check_adapters(const Batch &batch) const;
    bool make_room_for_adapters(const Batch &batch);
    void work(int thread, uint64_t round) override;

    // Each runs one node's phases and returns false when the step is over already.
    bool run_node(size_t index, const Walk &walk);
    bool run_product(size_t index, const Walk &walk);
    bool run_attention(size_t index, const Walk &walk);
    bool run_shrinking(size_t index, const Walk &walk, int rows);
    bool run_experts(size_t index, const Walk &walk);
    Phase &phase(size_t node, int which) { return phases_[size_t(most_phases) * node + size_t(which)]; }
    template <typename Work> static bool each_row(Phase &phase, const Walk &walk, int rows, const Work &work) {
        auto share = [](int left) { return left > 64 ? 4 : 1; };
        return phase.run(walk.round, rows, share, [&](int first, int last) {
            for (int row = first; row < last; row++) work(row);
        });
    }

    void embed(const Node &node, int row);
    void find_angles(int row);
    const float *angles(const Op &rope, int row) const;  // cosines, then sines
    void normalise(const Op &norm, const float *x, float *out) const;
    void rotate(const Op &rope, float *x, int row) const;  // in place
    void run_row(const Node &node, int row);
    const float *input_of(const Node &node, int row, Workplace &place) const;
    void prepare(const Node &node, const Activations &to, int row, Workplace &place);
    void product_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                       Workplace &place);
    void activated_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                         Workplace &place);
    const Adapter::Part *adapter_part(const Node &node, const Segment &segment, int row) const;
    float *shrunk(const Node &node, size_t segment, int row) const;
    void shrink(const Node &node, size_t segment, int first, int last, Workplace &place);
    void add_delta(const Node &node, size_t segment, int row, int first, int last, float *result, Workplace &place);
    void choose_experts(const Op &op, int row);
    void sort_pairs(const Experts &experts, int rows);
    void prepare_pair(const Op &op, int pair);
    void expert_unit(const Op &op, int task, int unit, Workplace &place);
    void mix_tiles(const Op &op, int first, int last, Workplace &place);
    static KeySpan keys_of(const Op &op, const QueryTile &tile);
    void write_keys(const Node &node, int row);
    void attend_tile(const Node &node, int tile, int kv_head, int first_chunk, int last_chunk, Workplace &place);

    float *row_of(int value, int row) const {
        if (value == program_.output) return logits_.as<float>() + size_t(row) * vocabulary();
        return buffers_[buffer_of_[value]].as<float>() + size_t(row) * buffer_sizes_[buffer_of_[value]];
    }
    size_t stride_of(int value) const { return size_t(row_of(value, 1) - row_of(value, 0)); }
    int weight_named(const std::string &name) const;
    Matrix matrix_of(int weight, Format format) const;
    int units_of(const Node &node) const;
    size_t resident_bytes(int weight, const Matrix &matrix) const;
    const float *vector(int weight) const {
        return weight < 0 ? nullptr : reinterpret_cast<const float *>(weights_[weight].data);
    }
    // One of the equal matrices of a weight; most have only one.
    Matrix part(int weight, int index) const {
        Matrix matrix = weights_[weight];
        matrix.data += matrix.bytes() * size_t(index);
        return matrix;
    }
    Activations activations(Memory &memory, int rows, int columns, bool floats) const;
    static Activations with_groups(Activations x, int groups) {
        x.groups = groups;
        return x;
    }
    // Keeps `size` floats as codes, floats or both in a row of `to`, from one group on.
    void add_bias(float *block, int rows, int size, const float *bias) const {  // [rows][GROUP]
        if (bias) kernels_.finish(block, GROUP, rows, size, bias, nullptr, 0, block, GROUP);
    }
    void put(const float *x, size_t stride, int size, const Activations &to, int first_row, int last_row, int group,
             bool codes, bool floats) const;

    Program program_;
    std::vector<Node> nodes_;
    std::vector<int> buffer_of_, buffer_sizes_;
    const Kernels &kernels_;

    Arena arena_;
    std::vector<Matrix> weights_;                   // of experts: the first
    std::vector<bool> takes_codes_, takes_floats_;  // by node: how its products want their input
    bool keeps_floats_ = false;                     // some product does
    bool sealed_ = false;

    Memory cache_;
    std::vector<CacheLayer> layers_;  // by op
    int blocks_ = 0, block_size_ = 0;
    bool half_ = true;

    // The step.
    Batch batch_{};
    std::vector<int> position_, sequence_;  // by token
    std::vector<Memory> buffers_;
    Memory prepared_memory_[2], rope_memory_;
    Activations prepared_[2];
    int widest_ = 0;
    std::vector<RopeTable> ropes_;
    std::vector<int> rope_of_;  // by op
    std::vector<QueryTile> tiles_;
    bool split_ = false;  // tiles' chunks are spread over threads
    int longest_ = 0, group_ = 0;
    size_t partial_size_ = 0;  // floats of one tile's and KV head's partial results
    Memory partial_;
    Memory logits_;
    int logit_count_ = 0;

    Routing routing_;
    std::vector<std::unique_ptr<Adapter>> adapters_;  // by slot
    bool adapted_ = false;                            // the step has rows with one
    Memory shrunk_;
    size_t shrunk_stride_ = 0;

    Shape shape_;
    static constexpr int most_phases = 5;
    std::unique_ptr<Phase[]> phases_;  // so many a node
    std::unique_ptr<std::atomic<int>[]> finished_;
    size_t finished_size_ = 0;
    std::vector<Workplace> places_;  // by thread
    Team team_;                      // last: its threads end before what they use
};

}  // namespace myna
