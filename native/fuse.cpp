// The pass that turns ops into nodes. What it knows about models is only which ops stand next to each other:
//   - linears of the same input become one product, whatever lies between them in the Program;
//   - a norm that only feeds linears is applied on the way into each product;
//   - a linear whose result is only added to something adds it while storing;
//   - a cap on a linear's result is applied while storing it;
//   - activation(gate x) * up x, or activation(up x) that feeds linears, is computed where the products' tiles are
//   still
//     in the first-level cache, and rounded for the next product there;
//   - norms of the heads and rotary positions of q and k are applied on the way into the cache and the scores.
#include <algorithm>
#include <set>

#include "program.h"

namespace myna {

namespace {

using Kind = Op::Kind;

class Fusion {
public:
    explicit Fusion(const Program &program) : program_(program), users_(program.ops.size()), done_(program.ops.size()) {
        for (const Op &op : program.ops)
            for (int id : op.operands) users_[id].push_back(&op);
    }

    std::vector<Node> run() {
        for (const Op &op : program_.ops)
            if (!done_[op.out] && !folded(op)) emit(op);
        hand_over();
        return std::move(nodes_);
    }

private:
    // The only op that uses a value, or null.
    const Op *only_user(int id) const {
        return users_[id].size() == 1 && id != program_.output ? users_[id][0] : nullptr;
    }

    bool feeds_linears_only(int id) const {
        return id != program_.output &&
               std::all_of(users_[id].begin(), users_[id].end(), [](const Op *op) { return op->kind == Kind::linear; });
    }

    // Ops that their users take over.
    bool folded(const Op &op) const {
        if (op.kind == Kind::normalise && op.heads == 1 && feeds_linears_only(op.out)) return true;
        return (op.kind == Kind::normalise || op.kind == Kind::rope) && into_cache(op);
    }

    // Whether a norm or rotation of q or k may work in place just before attention: nothing else reads its input.
    bool into_cache(const Op &op) const {
        const Op *user = only_user(op.out);
        if (!user || !only_user(op.operands[0])) return false;
        if (user->kind == Kind::rope && op.kind == Kind::normalise) return into_cache(*user);
        return user->kind == Kind::attend && user->operands[2] != op.out;
    }

    void emit(const Op &op) {
        if (op.kind == Kind::linear) return emit_product(op);
        static const std::map<Kind, Node::Kind> kinds = {
            {Kind::embed, Node::Kind::embed},       {Kind::normalise, Node::Kind::normalise},
            {Kind::rope, Node::Kind::rope},         {Kind::attend, Node::Kind::attend},
            {Kind::add, Node::Kind::add},           {Kind::multiply, Node::Kind::multiply},
            {Kind::activate, Node::Kind::activate}, {Kind::softcap, Node::Kind::softcap},
            {Kind::experts, Node::Kind::experts},   {Kind::select, Node::Kind::select},
        };
        Node node;
        node.kind = kinds.at(op.kind);
        node.op = &op;
        node.inputs = op.operands;
        node.outputs = {op.out};
        node.logit_rows = program_.values[op.out].logit_rows;
        if (op.kind == Kind::attend) {
            take_over(node.inputs[0], node.norm_q, node.rope_q);
            take_over(node.inputs[1], node.norm_k, node.rope_k);
        }
        nodes_.push_back(std::move(node));
    }

    // Moves an input of attention back before the norm and the rotation that attention applies to it itself.
    void take_over(int &input, const Op *&norm, const Op *&rope) const {
        const Op *op = &program_.ops[input];
        if (op->kind == Kind::rope && folded(*op)) rope = op, input = op->operands[0], op = &program_.ops[input];
        if (op->kind == Kind::normalise && into_cache(*op)) norm = op, input = op->operands[0];
    }

    void emit_product(const Op &first) {
        Node node;
        node.kind = Node::Kind::product;
        node.op = &first;
        node.logit_rows = program_.values[first.out].logit_rows;
        const Op &source = program_.ops[first.operands[0]];
        node.inputs = first.operands;
        if (source.kind == Kind::normalise && folded(source)) node.norm = &source, node.inputs = source.operands;
        if (emit_activated(node, first)) return;
        for (const Op *op : users_[first.operands[0]]) {
            if (op->kind != Kind::linear || done_[op->out] || (op != &first && is_activated(*op))) continue;
            Segment segment{op->weight, op->bias, -1, op->out};
            const Op *sum = only_user(op->out);
            if (sum && sum->kind == Kind::softcap) {
                segment.cap = sum->cap, segment.out = sum->out;
                done_[sum->out] = true;
            } else if (sum && sum->kind == Kind::add && sum->operands[0] != sum->operands[1]) {
                int other = sum->operands[sum->operands[0] == op->out];
                if (other < first.out && exists(other)) {
                    segment.residual = other, segment.out = sum->out;
                    done_[sum->out] = true;
                }
            }
            done_[op->out] = true;
            node.outputs.push_back(segment.out);
            node.segments.push_back(segment);
        }
        nodes_.push_back(std::move(node));
    }

    bool exists(int id) const {
        for (const Node &node : nodes_)
            if (std::count(node.outputs.begin(), node.outputs.end(), id)) return true;
        return false;
    }

    // activation(gate x) * up x, or without `up` and `product` activation(gate x).
    struct Activated {
        const Op *gate = nullptr, *up = nullptr, *activation = nullptr, *product = nullptr;
    };

    // The one that `linear` ends up in, if any.
    Activated find_activated(const Op &linear) const {
        const Op *user = only_user(linear.out);
        if (!user) return {};
        if (user->kind == Kind::activate && !users_[user->out].empty() && feeds_linears_only(user->out))
            return {&linear, nullptr, user, nullptr};
        const Op *product = user->kind == Kind::activate ? only_user(user->out) : user;
        if (!product || product->kind != Kind::multiply) return {};
        for (int side = 0; side < 2; side++) {
            const Op *activation = &program_.ops[product->operands[side]],
                     *up = &program_.ops[product->operands[1 - side]];
            if (activation->kind != Kind::activate || up->kind != Kind::linear) continue;
            const Op *gate = &program_.ops[activation->operands[0]];
            if (gate->kind == Kind::linear && gate != up && gate->operands == up->operands && only_user(gate->out) &&
                only_user(up->out) && only_user(activation->out))
                return {gate, up, activation, product};
        }
        return {};
    }

    bool is_activated(const Op &linear) const { return find_activated(linear).gate != nullptr; }

    bool emit_activated(Node &node, const Op &linear) {
        Activated found = find_activated(linear);
        if (!found.gate) return false;
        node.kind = Node::Kind::activated_product;
        node.op = found.activation;
        for (const Op *op : {found.gate, found.up})
            if (op) node.segments.push_back({op->weight, op->bias});
        node.outputs = {(found.product ? found.product : found.activation)->out};
        for (const Op *op : {found.gate, found.up, found.activation, found.product})
            if (op) done_[op->out] = true;
        nodes_.push_back(std::move(node));
        return true;
    }

    // An activated product hands its rounded result to the very next node when that is the only one to use it.
    void hand_over() {
        for (size_t i = 0; i + 1 < nodes_.size(); i++) {
            Node &from = nodes_[i], &to = nodes_[i + 1];
            if (from.kind != Node::Kind::activated_product || to.kind != Node::Kind::product || to.norm) continue;
            if (to.inputs != from.outputs || !feeds_linears_only(from.outputs[0])) continue;
            if (users_[from.outputs[0]].size() != to.segments.size()) continue;
            from.hands_over = to.takes_over = true;
            from.outputs.clear(), to.inputs.clear();
        }
    }

    const Program &program_;
    std::vector<std::vector<const Op *>> users_;
    std::vector<bool> done_;
    std::vector<Node> nodes_;
};

}  // namespace

std::vector<Node> fuse(const Program &program) { return Fusion(program).run(); }

std::vector<int> assign_buffers(const Program &program, const std::vector<Node> &nodes, std::vector<int> &sizes) {
    std::vector<int> buffers(program.values.size(), -1), last_use(program.values.size(), -1);
    for (size_t i = 0; i < nodes.size(); i++) {
        for (int id : nodes[i].inputs) last_use[id] = static_cast<int>(i);
        for (const Segment &segment : nodes[i].segments)
            if (segment.residual >= 0) last_use[segment.residual] = static_cast<int>(i);
    }
    std::vector<int> free_from;  // the first node that may write each buffer anew
    for (size_t i = 0; i < nodes.size(); i++) {
        const int now = static_cast<int>(i);
        std::set<int> replaced;
        for (int id : nodes[i].outputs) {
            if (id == program.output) continue;  // the logits have a place of their own
            int size = (program.values[id].size + TILE - 1) / TILE * TILE, buffer = -1;
            for (const Segment &segment : nodes[i].segments) {
                int old = segment.residual;
                bool other_use = old < 0 || last_use[old] != now || replaced.count(old) ||
                                 std::count(nodes[i].inputs.begin(), nodes[i].inputs.end(), old);
                for (const Segment &other : nodes[i].segments) other_use |= &other != &segment && other.residual == old;
                if (segment.out == id && !other_use) buffer = buffers[old], replaced.insert(old);
            }
            for (size_t b = 0; buffer < 0 && b < sizes.size(); b++)
                if (sizes[b] == size && free_from[b] <= now) buffer = static_cast<int>(b);
            if (buffer < 0) {
                buffer = static_cast<int>(sizes.size());
                sizes.push_back(size), free_from.push_back(0);
            }
            buffers[id] = buffer;
            free_from[buffer] = std::max(last_use[id], now) + 1;
        }
    }
    return buffers;
}

}  // namespace myna
