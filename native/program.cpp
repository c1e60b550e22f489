#include "program.h"

#include <climits>
#include <cmath>
#include <set>
#include <stdexcept>

namespace myna {

namespace {

[[noreturn]] void fail(const std::string &message) { throw std::invalid_argument(message); }

void expect(bool condition, const std::string &message) {
    if (!condition) fail(message);
}

// Typed access to one op's fields, with errors that name it.
class Reader {
public:
    Reader(const Fields &fields, size_t index) : fields_(fields) {
        where_ = "op " + std::to_string(index);
        where_ += " (" + text("op") + ")";
    }

    const std::string &where() const { return where_; }

    std::string text(const char *name) const { return get<std::string>(name, "a string"); }

    int integer(const char *name, int least, int most = INT_MAX) const {
        int64_t value = get<int64_t>(name, "an integer");
        expect(value >= least && value <= most,
               where_ + ": " + name + " = " + std::to_string(value) + " is out of range");
        return static_cast<int>(value);
    }

    double number(const char *name) const {
        const Field &field = find(name);
        double value = 0;
        if (auto *integer = std::get_if<int64_t>(&field)) value = static_cast<double>(*integer);
        else value = get<double>(name, "a number");
        expect(std::isfinite(value), where_ + ": " + name + " is not finite");
        return value;
    }

    std::vector<double> numbers(const char *name) const { return get<std::vector<double>>(name, "a list of numbers"); }

    bool flag(const char *name) const { return integer(name, 0, 1) != 0; }

    bool given(const char *name) const { return !std::holds_alternative<std::monostate>(find(name)); }

private:
    const Field &find(const char *name) const {
        auto found = fields_.find(name);
        expect(found != fields_.end(), where_ + ": field " + name + " is missing");
        return found->second;
    }

    template <typename T> T get(const char *name, const char *kind) const {
        const T *value = std::get_if<T>(&find(name));
        expect(value != nullptr, where_ + ": field " + name + " is not " + kind);
        return *value;
    }

    const Fields &fields_;
    std::string where_ = "op";
};

class Parser {
public:
    Program program;

    void read(const Reader &reader) {
        std::string kind = reader.text("op");
        expect(program.output < 0, reader.where() + " follows the output");
        if (kind == "weight") return read_weight(reader);
        if (kind == "output") {
            program.output = value(reader, "x");
            return;
        }
        Op op{};
        op.out = reader.integer("out", 0);
        expect(op.out == static_cast<int>(program.ops.size()), reader.where() + ": values are numbered in order");
        ValueSpec result = read_op(reader, kind, op);
        program.ops.push_back(std::move(op));
        program.values.push_back(result);
    }

private:
    void read_weight(const Reader &reader) {
        WeightSpec weight{reader.text("name"), reader.integer("rows", 1), reader.integer("columns", 1),
                          reader.text("kind") == "vector"};
        expect(names_.emplace(weight.name, static_cast<int>(program.weights.size())).second,
               "weight " + weight.name + " is declared twice");
        expect(!weight.vector || weight.rows == 1, "vector " + weight.name + " has more than one row");
        program.weights.push_back(std::move(weight));
    }

    int value(const Reader &reader, const char *name) const {
        int id = reader.integer(name, 0);
        expect(id < static_cast<int>(program.ops.size()),
               reader.where() + ": " + name + " = " + std::to_string(id) + " is no earlier value");
        return id;
    }

    int weight(const Reader &reader, const char *field, bool vector, Op &op) const {
        std::string name = reader.text(field);
        auto found = names_.find(name);
        expect(found != names_.end(), reader.where() + ": weight " + name + " is not declared");
        expect(program.weights[found->second].vector == vector,
               reader.where() + ": weight " + name + (vector ? " is not a vector" : " is not a matrix"));
        op.reads.push_back(found->second);
        return found->second;
    }

    // A matrix, or `parts` equal ones; all ops must see it cut alike.
    int matrix(const Reader &reader, const char *field, int parts, Op &op) {
        int index = weight(reader, field, false, op);
        WeightSpec &spec = program.weights[index];
        int known = cut_.emplace(index, parts).first->second;
        expect(known == parts, reader.where() + ": weight " + spec.name + " is cut into " + std::to_string(parts) +
                                   " parts here and into " + std::to_string(known) + " elsewhere");
        expect(spec.rows % parts == 0, reader.where() + ": weight " + spec.name + " of " + std::to_string(spec.rows) +
                                           " rows is not " + std::to_string(parts) + " experts");
        spec.parts = parts;
        return index;
    }

    int vector_of(const Reader &reader, const char *field, int size, Op &op) const {
        int index = weight(reader, field, true, op);
        same(reader, program.weights[index].columns, size);
        return index;
    }

    int vector_if_given(const Reader &reader, const char *field, int size, Op &op) const {
        return reader.given(field) ? vector_of(reader, field, size, op) : -1;
    }

    void same(const Reader &reader, int a, int b) const {
        expect(a == b, reader.where() + ": sizes " + std::to_string(a) + " and " + std::to_string(b) + " differ");
    }

    ValueSpec read_op(const Reader &reader, const std::string &kind, Op &op) {
        if (kind == "embed") {
            op.kind = Op::Kind::embed;
            op.weight = matrix(reader, "weight", 1, op);
            std::string source = reader.text("source");
            expect(source == "tokens" || source == "positions", reader.where() + ": unknown source " + source);
            op.positions = source == "positions";
            op.scale = static_cast<float>(reader.number("scale"));
            return {program.weights[op.weight].columns, false};
        }
        if (kind == "attend") return read_attend(reader, op);
        if (kind == "mixexperts") return read_experts(reader, op);
        if (kind == "add" || kind == "multiply") {
            op.kind = kind == "add" ? Op::Kind::add : Op::Kind::multiply;
            op.operands = {value(reader, "a"), value(reader, "b")};
            ValueSpec a = program.values[op.operands[0]], b = program.values[op.operands[1]];
            same(reader, a.size, b.size);
            expect(a.logit_rows == b.logit_rows, reader.where() + " mixes token rows and logit rows");
            return a;
        }
        op.operands = {value(reader, "x")};
        ValueSpec x = program.values[op.operands[0]];
        if (kind == "normalise") {
            op.kind = Op::Kind::normalise;
            std::string norm = reader.text("kind");
            expect(norm == "rms" || norm == "layer", reader.where() + ": unknown norm " + norm);
            op.layer_norm = norm == "layer";
            op.epsilon = static_cast<float>(reader.number("epsilon"));
            op.heads = reader.integer("heads", 1, x.size);
            expect(x.size % op.heads == 0, reader.where() + ": heads do not divide the value's size");
            op.head_dim = x.size / op.heads;
            op.weight = vector_of(reader, "weight", op.head_dim, op);
            op.bias = vector_if_given(reader, "bias", op.head_dim, op);
            return x;
        }
        if (kind == "linear") {
            op.kind = Op::Kind::linear;
            op.weight = matrix(reader, "weight", 1, op);
            same(reader, program.weights[op.weight].columns, x.size);
            x.size = program.weights[op.weight].rows;
            op.bias = vector_if_given(reader, "bias", x.size, op);
            return x;
        }
        if (kind == "softcap") {
            op.kind = Op::Kind::softcap;
            op.cap = static_cast<float>(reader.number("cap"));
            expect(op.cap > 0, reader.where() + ": cap is not positive");
            return x;
        }
        if (kind == "activate") {
            op.kind = Op::Kind::activate;
            std::string name = reader.text("kind");
            expect(name == "silu" || name == "gelu_tanh" || name == "gelu", reader.where() + ": unknown kind " + name);
            op.activation = name == "silu"   ? Activation::silu
                            : name == "gelu" ? Activation::gelu
                                             : Activation::gelu_tanh;
            return x;
        }
        expect(!x.logit_rows, reader.where() + " needs token rows");
        if (kind == "select") {
            op.kind = Op::Kind::select;
            return {x.size, true};
        }
        expect(kind == "rope", reader.where() + ": unknown op");
        op.kind = Op::Kind::rope;
        op.heads = reader.integer("heads", 1, x.size);
        op.head_dim = reader.integer("head_dim", 1, x.size);
        expect(int64_t(op.heads) * op.head_dim == x.size,
               reader.where() + ": heads * head_dim is not the value's size");
        op.dims = reader.integer("dims", 2, op.head_dim);
        expect(op.dims % 2 == 0, reader.where() + ": dims is odd");
        op.base = reader.number("base");
        expect(op.base > 0, reader.where() + ": base is not positive");
        std::string layout = reader.text("layout");
        expect(layout == "half" || layout == "interleaved", reader.where() + ": unknown layout " + layout);
        op.interleaved = layout == "interleaved";
        op.factors = reader.numbers("factors");
        expect(op.factors.empty() || static_cast<int>(op.factors.size()) == op.dims / 2,
               reader.where() + ": there is not one factor a frequency");
        for (double factor : op.factors) expect(factor > 0 && std::isfinite(factor), reader.where() + ": bad factor");
        op.scale = static_cast<float>(reader.number("scale"));
        return x;
    }

    ValueSpec read_attend(const Reader &reader, Op &op) {
        op.kind = Op::Kind::attend;
        op.operands = {value(reader, "q"), value(reader, "k"), value(reader, "v")};
        ValueSpec q = program.values[op.operands[0]];
        op.heads = reader.integer("heads", 1, q.size);
        op.kv_heads = reader.integer("kv_heads", 1, op.heads);
        op.head_dim = reader.integer("head_dim", 1, q.size);
        expect(op.heads % op.kv_heads == 0, reader.where() + ": heads is not a multiple of kv_heads");
        expect(int64_t(op.heads) * op.head_dim == q.size, reader.where() + ": heads * head_dim is not the size of q");
        for (int i = 0; i < 3; i++)
            expect(!program.values[op.operands[i]].logit_rows, reader.where() + " needs token rows");
        for (int i = 1; i < 3; i++) same(reader, program.values[op.operands[i]].size, op.kv_heads * op.head_dim);
        op.layer = reader.integer("layer", 0, 1 << 20);
        expect(layers_.insert(op.layer).second,
               reader.where() + ": cache layer " + std::to_string(op.layer) + " is used twice");
        op.scale = static_cast<float>(reader.number("scale"));
        op.window = reader.integer("window", 0);
        op.causal = reader.flag("causal");
        expect(op.causal || !op.window, reader.where() + ": a window needs causal attention");
        op.cap = static_cast<float>(reader.number("softcap"));
        expect(op.cap >= 0, reader.where() + ": softcap is negative");
        op.slopes = reader.numbers("slopes");
        expect(op.slopes.empty() || static_cast<int>(op.slopes.size()) == op.heads,
               reader.where() + ": there is not one slope a head");
        for (double slope : op.slopes) expect(std::isfinite(slope), reader.where() + ": a slope is not finite");
        op.sinks = vector_if_given(reader, "sinks", op.heads, op);
        return q;
    }

    ValueSpec read_experts(const Reader &reader, Op &op) {
        op.kind = Op::Kind::experts;
        op.operands = {value(reader, "x"), value(reader, "router")};
        ValueSpec x = program.values[op.operands[0]], router = program.values[op.operands[1]];
        expect(x.logit_rows == router.logit_rows, reader.where() + " mixes token rows and logit rows");
        Experts &e = op.experts;
        e.count = reader.integer("experts", 1);
        same(reader, router.size, e.count);
        e.chosen = reader.integer("chosen", 1, e.count);
        e.gate = matrix(reader, "gate", e.count, op);
        e.up = matrix(reader, "up", e.count, op);
        e.down = matrix(reader, "down", e.count, op);
        const WeightSpec &gate = program.weights[e.gate], &up = program.weights[e.up], &down = program.weights[e.down];
        e.hidden = gate.rows / e.count;
        same(reader, gate.rows, up.rows);
        for (const WeightSpec *weight : {&gate, &up}) same(reader, weight->columns, x.size);
        same(reader, down.columns, e.hidden);
        e.gate_bias = vector_if_given(reader, "gate_bias", gate.rows, op);
        e.up_bias = vector_if_given(reader, "up_bias", up.rows, op);
        e.down_bias = vector_if_given(reader, "down_bias", down.rows, op);
        e.renormalise = reader.flag("renormalise");
        std::string kind = reader.text("activation");
        expect(kind == "silu" || kind == "clamped_silu", reader.where() + ": unknown kind " + kind);
        e.clamped = kind == "clamped_silu";
        e.alpha = static_cast<float>(reader.number("alpha"));
        e.limit = static_cast<float>(reader.number("limit"));
        expect(!e.clamped || (e.alpha > 0 && e.limit > 0), reader.where() + ": alpha or limit is not positive");
        return {down.rows / e.count, x.logit_rows};
    }

    std::map<std::string, int> names_;
    std::map<int, int> cut_;  // matrices: into how many parts
    std::set<int> layers_;
};

}  // namespace

Program parse_program(const std::vector<Fields> &ops) {
    Parser parser;
    for (size_t i = 0; i < ops.size(); i++) parser.read(Reader(ops[i], i));
    const Program &program = parser.program;
    expect(program.output >= 0, "the Program has no output");
    expect(!program.ops.empty() && program.ops[0].kind == Op::Kind::embed,
           "the Program does not start with an embedding");
    expect(program.values[program.output].logit_rows, "the Program's output is not of selected rows");
    std::set<int> used;
    for (const Op &op : program.ops) {
        used.insert(op.reads.begin(), op.reads.end());
        for (int id : op.operands) expect(id != program.output, "the Program's output is used by an op");
    }
    for (size_t i = 0; i < program.weights.size(); i++)
        expect(used.count(static_cast<int>(i)), "weight " + program.weights[i].name + " is used by no op");
    return std::move(parser.program);
}

}  // namespace myna
