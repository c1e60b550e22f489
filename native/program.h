// A Program as the executor takes it from Python (see myna/models/program.py, which documents every op), and the
// nodes that it becomes: ops fused so that a step reads memory once and meets few barriers.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "kernels/kernels.h"

namespace myna {

using Field = std::variant<std::monostate, int64_t, double, std::string, std::vector<double>>;
using Fields = std::map<std::string, Field>;

struct WeightSpec {
    std::string name;
    int rows = 0, columns = 0;
    bool vector = false;
    int parts = 1;  // matrices of equal rows that lie one after the other: experts
};

struct ValueSpec {
    int size = 0;
    bool logit_rows = false;
};

// Of a mixture of experts; weights are indices into Program::weights.
struct Experts {
    int gate = -1, up = -1, down = -1, gate_bias = -1, up_bias = -1, down_bias = -1;
    int count = 0, chosen = 0, hidden = 0;
    bool renormalise = false, clamped = false;
    float alpha = 0, limit = 0;
};

struct Op {
    enum class Kind { embed, normalise, linear, rope, attend, add, multiply, activate, softcap, experts, select };
    Kind kind;
    int out = -1;
    std::vector<int> operands;   // x; or a, b; or q, k, v; or x, router
    std::vector<int> reads;      // all weights, as indices into Program::weights
    int weight = -1, bias = -1;  // of these the plain op's own
    bool positions = false;      // embed: rows are positions, not tokens
    bool layer_norm = false;     // normalise
    float epsilon = 0;
    Activation activation{};      // activate
    int heads = 0, head_dim = 0;  // normalise, rope, attend
    int dims = 0;                 // rope
    double base = 0;
    bool interleaved = false;
    std::vector<double> factors;
    int layer = 0, kv_heads = 0;  // attend
    int window = 0, sinks = -1;
    std::vector<double> slopes;
    bool causal = true;
    float scale = 0;  // embed, rope, attend
    float cap = 0;    // softcap, attend (0: none)
    Experts experts;
};

struct Program {
    std::vector<WeightSpec> weights;
    std::vector<ValueSpec> values;  // values[i] is written by ops[i]
    std::vector<Op> ops;
    int output = -1;
};

// Throws std::invalid_argument naming the op or weight on anything that is missing, unknown or does not fit.
Program parse_program(const std::vector<Fields> &ops);

// One matrix of a product: out = weight @ x + bias + residual, capped unless `cap` is 0.
struct Segment {
    int weight = -1, bias = -1;
    int residual = -1, out = -1;  // values
    float cap = 0;
};

struct Node {
    enum class Kind {
        embed,
        normalise,
        product,
        activated_product,
        rope,
        attend,
        add,
        multiply,
        activate,
        softcap,
        experts,
        select
    };
    Kind kind = Kind::product;
    const Op *op = nullptr;    // what defines it; of a product its first linear, of an activated one the activation
    std::vector<int> inputs;   // values read, residuals aside
    std::vector<int> outputs;  // values written
    bool logit_rows = false;
    // Products. `norm` (or null) is applied to the input on its way in. An activated product has a segment and one
    // output, activation(segment), or two segments, gate and up, for activation(gate) * up. The output stays in
    // prepared form when the node `hands_over`; the next product then `takes_over` and reads no value.
    const Op *norm = nullptr;
    std::vector<Segment> segments;
    bool hands_over = false, takes_over = false;
    // Attention: the norms of heads, then rotary positions to apply to q and k in place, or null.
    const Op *norm_q = nullptr, *norm_k = nullptr, *rope_q = nullptr, *rope_k = nullptr;
};

// The nodes of a Program, in order; they point into it.
std::vector<Node> fuse(const Program &program);

// A buffer for each value, or -1 for values that never exist in memory. Values whose lives do not overlap share one;
// a sum may replace its residual in place. `sizes` receives the floats a row of each buffer.
std::vector<int> assign_buffers(const Program &program, const std::vector<Node> &nodes, std::vector<int> &sizes);

}  // namespace myna
