// One loaded model: its Program, packed weights and KV cache, and the forward pass of a batch.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "memory.h"
#include "pack.h"
#include "program.h"
#include "threads.h"

namespace myna {

// A flat batch; see Executor.forward in _native.pyi.
struct Batch {
    const int32_t *tokens, *starts, *contexts, *tables, *logit_rows;
    int token_count, sequence_count, table_width, logit_count;
};

class Executor {
public:
    // All throw std::invalid_argument on what does not fit, naming it.
    Executor(const std::vector<Fields> &ops, int threads, const Kernels &kernels);

    void set_weight(const std::string &name, const uint8_t *data, size_t bytes, Source source, int rows, int columns,
                    Format format);
    void seal();
    size_t weight_bytes() const;
    size_t bytes_per_token() const;
    size_t cache_block_bytes(int block_size, bool half) const;
    void allocate_cache(int blocks, int block_size, bool half);
    void forward(const Batch &batch);

    int vocabulary() const { return program_.values[program_.output].size; }
    int logit_count() const { return logit_count_; }
    const float *logits(int row) const { return logits_.as<float>() + size_t(row) * vocabulary(); }
    const Kernels &kernels() const { return kernels_; }
    Team &team() { return team_; }

private:
    // Some consecutive rows of one sequence whose queries share their reads of the cache.
    struct QueryTile {
        int sequence, first_row, rows, position;
    };
    // The KV cache of one attention op.
    struct CacheLayer {
        size_t offset = 0, block_bytes = 0, head_bytes = 0;
    };
    struct RopeTable {
        const Op *op;
        std::vector<double> frequencies;
    };
    struct Workplace {  // a thread's own buffers
        Activations prepared;
        Memory prepared_memory, row, tile, scores, partial, pointers;
    };

    void check(const Batch &batch) const;
    void make_room(const Batch &batch);
    void plan_attention(const Batch &batch);
    int claim(int counter) { return counters_[counter].next.fetch_add(1, std::memory_order_relaxed); }

    void run_node(size_t index, int id);
    void begin(const Node &node, int counter);
    void prepare(const Node &node, const Activations &to, int row, Workplace &place);
    Activations input_of(const Node &node, int counter, Workplace &place);
    void run_product(const Node &node, size_t index, Workplace &place);
    void product_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                       Workplace &place);
    void gated_units(const Node &node, const Activations &x, int first, int last, int first_row, int last_row,
                     Workplace &place);
    void run_attention(const Node &node, size_t index, Workplace &place);
    void write_keys(const Node &node, int row);
    void attend_tile(const Node &node, int tile, int kv_head, int first_chunk, int last_chunk, Workplace &place);
    const float *angles(const Op &rope, int row) const;  // cosines, then sines
    void run_rows(const Node &node, int counter);

    float *row_of(int value, int row) const {
        return buffers_[buffer_of_[value]].as<float>() + size_t(row) * buffer_sizes_[buffer_of_[value]];
    }
    int rows_of(const Node &node) const { return node.logit_rows ? batch_.logit_count : batch_.token_count; }
    int units_of(const Node &node) const;
    const float *vector(int weight) const {
        return weight < 0 ? nullptr : reinterpret_cast<const float *>(weights_[weight].data);
    }
    Activations activations(Memory &memory, int rows, int columns) const;

    Program program_;
    std::vector<Node> nodes_;
    std::vector<int> buffer_of_, buffer_sizes_;
    const Kernels &kernels_;
    Team team_;

    Arena arena_;
    std::vector<Matrix> weights_;
    std::vector<bool> takes_codes_, takes_floats_;  // by node: how its products want their input
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
    bool split_ = false;          // tiles' chunks are spread over threads
    int longest_ = 0, group_ = 0;
    size_t partial_size_ = 0;     // floats of one tile's and KV head's partial results
    Memory partial_;
    Memory logits_;
    int logit_count_ = 0;

    struct alignas(64) Counter {
        std::atomic<int> next{0};
    };
    std::unique_ptr<Counter[]> counters_;  // two a node
    std::unique_ptr<std::atomic<int>[]> finished_;
    size_t finished_size_ = 0;
    std::vector<Workplace> places_;
};

}  // namespace myna
