// The module myna._native: converts and checks what Python gives, and leaves the GIL to others meanwhile.
// src/myna/_native.pyi documents it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <optional>

#include "cpu.h"
#include "executor.h"
#include "sample.h"

namespace nb = nanobind;

namespace {

template <typename T> using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T> using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

int length(size_t size) {
    if (size > size_t(INT32_MAX))
        throw std::invalid_argument("an array of " + std::to_string(size) + " elements is too long");
    return static_cast<int>(size);
}

template <typename T> const T *of_size(const Array1<T> &array, int size, const char *name) {
    if (array.shape(0) != size_t(size))
        throw std::invalid_argument(std::string(name) + " has " + std::to_string(array.shape(0)) +
                                    " elements instead of " + std::to_string(size));
    return array.data();
}

// A new NumPy array that owns `values`.
template <typename T> nb::object to_numpy(std::vector<T> values, std::initializer_list<size_t> shape) {
    auto *kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(kept->data(), shape, owner));
}

nb::tuple to_arrays(myna::Choice &choice, bool with_ids, size_t count, int top) {
    size_t described = top < 0 ? 0 : count, columns = size_t(std::max(top, 0));
    nb::object logprobs = to_numpy(std::move(choice.logprobs), {described});
    nb::object top_ids = to_numpy(std::move(choice.top_ids), {described, columns});
    nb::object top_values = to_numpy(std::move(choice.top_values), {described, columns});
    if (!with_ids) return nb::make_tuple(logprobs, top_ids, top_values);
    return nb::make_tuple(to_numpy(std::move(choice.ids), {count}), logprobs, top_ids, top_values);
}

myna::Field to_field(nb::handle value, const std::string &name) {
    if (value.is_none()) return std::monostate{};
    if (nb::isinstance<nb::int_>(value)) return nb::cast<int64_t>(value);
    if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
    if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
    if (nb::isinstance<nb::tuple>(value) || nb::isinstance<nb::list>(value))
        return nb::cast<std::vector<double>>(value);
    throw std::invalid_argument("field " + name +
                                " of an op is neither None, a number, a string nor a list of numbers");
}

std::vector<myna::Fields> to_ops(nb::sequence ops) {
    std::vector<myna::Fields> result;
    for (nb::handle op : ops) {
        myna::Fields fields;
        for (auto [key, value] : nb::cast<nb::dict>(op)) {
            std::string name = nb::cast<std::string>(key);
            fields.emplace(name, to_field(value, name));
        }
        result.push_back(std::move(fields));
    }
    return result;
}

bool is_half(const std::string &dtype) {
    if (dtype != "float16" && dtype != "float32")
        throw std::invalid_argument("cache dtype " + dtype + " is neither float16 nor float32");
    return dtype == "float16";
}

myna::SampleRequest sample_request(Array1<int32_t> rows, Array1<float> temperature, Array1<int32_t> top_k,
                                   Array1<float> top_p, Array1<float> min_p, Array1<float> repetition,
                                   Array1<float> presence, Array1<float> frequency, Array1<uint64_t> seeds,
                                   Array1<int64_t> positions, Array1<int32_t> history, Array1<int32_t> history_starts,
                                   Array1<int32_t> prompt_lengths, Array1<int32_t> bias_ids, Array1<float> bias_values,
                                   Array1<int32_t> bias_starts, std::optional<Array2<uint32_t>> mask,
                                   int top_logprobs) {
    myna::SampleRequest r{};
    const int n = r.count = length(rows.shape(0));
    r.rows = rows.data(), r.temperature = of_size(temperature, n, "temperature");
    r.top_k = of_size(top_k, n, "top_k"), r.top_p = of_size(top_p, n, "top_p"), r.min_p = of_size(min_p, n, "min_p");
    r.repetition_penalty = of_size(repetition, n, "repetition_penalty");
    r.presence_penalty = of_size(presence, n, "presence_penalty");
    r.frequency_penalty = of_size(frequency, n, "frequency_penalty");
    r.seeds = of_size(seeds, n, "seeds"), r.positions = of_size(positions, n, "positions");
    r.history_size = length(history.shape(0)), r.bias_size = length(bias_ids.shape(0));
    r.history = history.data(), r.history_starts = of_size(history_starts, n + 1, "history_starts");
    r.prompt_lengths = of_size(prompt_lengths, n, "prompt_lengths");
    r.bias_ids = bias_ids.data(), r.bias_values = of_size(bias_values, r.bias_size, "bias_values");
    r.bias_starts = of_size(bias_starts, n + 1, "bias_starts");
    if (mask) {
        if (mask->shape(0) != size_t(n))
            throw std::invalid_argument("mask has " + std::to_string(mask->shape(0)) + " rows instead of " +
                                        std::to_string(n));
        r.mask = mask->data(), r.mask_words = length(mask->shape(1));
    }
    r.top_logprobs = top_logprobs;
    return r;
}

nb::tuple sample_logits(Array2<float> logits, const myna::SampleRequest &request) {
    if (logits.shape(1) == 0) throw std::invalid_argument("logits has no columns");
    myna::Choice choice;
    {
        nb::gil_scoped_release released;
        myna::Team alone(1);
        const myna::Logits rows{logits.data(), length(logits.shape(0)), length(logits.shape(1)),
                                *myna::available_kernels().front(), alone};
        choice = myna::sample(rows, request);
    }
    return to_arrays(choice, true, size_t(request.count), request.top_logprobs);
}

// Holds a buffer of Python's while the GIL is released.
class Buffer {
public:
    explicit Buffer(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_C_CONTIGUOUS)) throw nb::python_error();
    }
    ~Buffer() { PyBuffer_Release(&view_); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    const uint8_t *data() const { return static_cast<const uint8_t *>(view_.buf); }
    size_t bytes() const { return static_cast<size_t>(view_.len); }

private:
    Py_buffer view_;
};

// An executor with a lock, so that Python threads cannot be inside it at once.
class Guarded {
public:
    Guarded(nb::sequence ops, int threads, const std::string &instruction_set) {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument("threads = " + std::to_string(threads) + " is not in 1 … 1024");
        executor_.emplace(to_ops(ops), threads, myna::kernels_named(instruction_set));
    }

    template <typename Work> auto alone(const Work &work) {
        nb::gil_scoped_release released;
        std::lock_guard<std::mutex> lock(mutex_);
        return work(*executor_);
    }

    void set_weight(const std::string &name, nb::object data, const std::string &source, int rows, int columns,
                    const std::string &target) {
        Buffer buffer(data);
        alone([&](myna::Executor &executor) {
            executor.set_weight(name, buffer.data(), buffer.bytes(), myna::source_from_name(source), rows, columns,
                                myna::format_from_name(target));
        });
    }

    // Keeps `data` until the executor is gone.
    void set_packed(const std::string &name, nb::object data, const std::string &format) {
        auto buffer = std::make_unique<Buffer>(data);
        alone([&](myna::Executor &executor) {
            executor.set_packed(name, buffer->data(), buffer->bytes(), myna::format_from_name(format));
        });
        mapped_.push_back(std::move(buffer));
    }

    nb::bytes packed(const std::string &name) {
        const auto weight = alone([&](myna::Executor &executor) { return executor.packed(name); });
        return nb::bytes(weight.data, weight.bytes);
    }

    void set_adapter(int slot, nb::dict weights) {
        std::vector<nb::tuple> kept;  // the arrays, while the GIL is released
        std::vector<myna::AdapterWeight> given;
        for (auto [key, value] : weights) {
            const std::string name = nb::cast<std::string>(key);
            Array2<float> a, b;
            float scale = 0;
            if (!nb::isinstance<nb::tuple>(value) || nb::len(value) != 3 || !nb::try_cast(value[0], a, false) ||
                !nb::try_cast(value[1], b, false) || !nb::try_cast(value[2], scale))
                throw nb::type_error(("adapter of " + name + " is not (float32 array, float32 array, number)").c_str());
            kept.push_back(nb::cast<nb::tuple>(value));
            given.push_back({name, a.data(), b.data(), length(a.shape(0)), length(a.shape(1)), length(b.shape(0)),
                             length(b.shape(1)), scale});
        }
        alone([&](myna::Executor &executor) { executor.set_adapter(slot, given); });
    }

    void discard_blocks(Array1<int32_t> blocks) {
        const int count = length(blocks.shape(0));
        alone([&](myna::Executor &executor) { executor.discard_blocks(blocks.data(), count); });
    }

    void forward(Array1<int32_t> tokens, Array1<int32_t> starts, Array1<int32_t> contexts, Array2<int32_t> tables,
                 Array1<int32_t> logit_rows, std::optional<Array1<int32_t>> adapters) {
        myna::Batch batch{};
        batch.token_count = length(tokens.shape(0)), batch.sequence_count = length(contexts.shape(0));
        batch.table_width = length(tables.shape(1)), batch.logit_count = length(logit_rows.shape(0));
        batch.tokens = tokens.data(), batch.starts = of_size(starts, batch.sequence_count + 1, "sequence_starts");
        batch.contexts = contexts.data(), batch.tables = tables.data(), batch.logit_rows = logit_rows.data();
        if (adapters) batch.adapters = of_size(*adapters, batch.sequence_count, "adapters");
        if (tables.shape(0) != contexts.shape(0))
            throw std::invalid_argument("block_tables has " + std::to_string(tables.shape(0)) + " rows instead of " +
                                        std::to_string(contexts.shape(0)));
        alone([&](myna::Executor &executor) { executor.forward(batch); });
    }

    nb::object logits() {
        size_t rows = 0, vocabulary = 0;
        std::vector<float> copy = alone([&](myna::Executor &executor) {
            const myna::Logits logits = executor.logits();
            rows = size_t(logits.rows), vocabulary = size_t(logits.vocabulary);
            return rows ? std::vector<float>(logits.data, logits.row(logits.rows)) : std::vector<float>();
        });
        return to_numpy(std::move(copy), {rows, vocabulary});
    }

    nb::tuple sample(const myna::SampleRequest &request) {
        myna::Choice choice = alone([&](myna::Executor &executor) { return myna::sample(executor.logits(), request); });
        return to_arrays(choice, true, size_t(request.count), request.top_logprobs);
    }

    nb::tuple score(Array1<int32_t> rows, Array1<int32_t> targets, int top_logprobs) {
        const int n = length(rows.shape(0));
        of_size(targets, n, "targets");
        if (top_logprobs < 0)
            throw std::invalid_argument("top_logprobs = " + std::to_string(top_logprobs) + " is negative");
        myna::Choice choice = alone([&](myna::Executor &executor) {
            return myna::score(executor.logits(), n, rows.data(), targets.data(), top_logprobs);
        });
        return to_arrays(choice, false, size_t(n), top_logprobs);
    }

private:
    std::vector<std::unique_ptr<Buffer>> mapped_;  // before the executor, which uses them to its end
    std::optional<myna::Executor> executor_;
    std::mutex mutex_;
};

// Both take what `request` takes, after the executor or the logits.
template <typename... Arguments>
void define_sampling(nb::module_ &module, nb::class_<Guarded> &executor, myna::SampleRequest (*request)(Arguments...)) {
    auto with_arguments = [](auto define) {
        define(nb::arg("rows").noconvert(), nb::arg("temperature").noconvert(), nb::arg("top_k").noconvert(),
               nb::arg("top_p").noconvert(), nb::arg("min_p").noconvert(), nb::arg("repetition_penalty").noconvert(),
               nb::arg("presence_penalty").noconvert(), nb::arg("frequency_penalty").noconvert(),
               nb::arg("seeds").noconvert(), nb::arg("positions").noconvert(), nb::arg("history").noconvert(),
               nb::arg("history_starts").noconvert(), nb::arg("prompt_lengths").noconvert(),
               nb::arg("bias_ids").noconvert(), nb::arg("bias_values").noconvert(), nb::arg("bias_starts").noconvert(),
               nb::arg("mask").noconvert().none(), nb::arg("top_logprobs"));
    };
    with_arguments([&](auto... names) {
        auto sample = [request](Guarded &self, Arguments... arguments) { return self.sample(request(arguments...)); };
        executor.def("sample", sample, names...);
    });
    with_arguments([&](auto... names) {
        auto sample = [request](Array2<float> logits, Arguments... arguments) {
            return sample_logits(logits, request(arguments...));
        };
        module.def("sample_logits", sample, nb::arg("logits").noconvert(), names...);
    });
}

}  // namespace

NB_MODULE(_native, module) {
    using namespace nb::literals;
    module.doc() = "Myna's compiled kernels.";

    module.attr("PACKED_LAYOUT") = myna::packed_layout;
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const myna::Kernels *kernels : myna::available_kernels()) names.emplace_back(kernels->name);
        return names;
    });
    module.def("read_bandwidth", &myna::read_bandwidth, "threads"_a, "megabytes"_a, "repeats"_a,
               nb::call_guard<nb::gil_scoped_release>());

    nb::class_<Guarded> executor(module, "Executor");
    executor.def(nb::init<nb::sequence, int, const std::string &>(), "ops"_a, "threads"_a, "instruction_set"_a)
        .def("set_weight", &Guarded::set_weight, "name"_a, "data"_a, "source_type"_a, "rows"_a, "columns"_a, "target"_a)
        .def("set_packed", &Guarded::set_packed, "name"_a, "data"_a, "target"_a)
        .def("packed", &Guarded::packed, "name"_a)
        .def("seal", [](Guarded &self) { self.alone([](myna::Executor &e) { e.seal(); }); })
        .def_prop_ro("weight_bytes",
                     [](Guarded &self) { return self.alone([](myna::Executor &e) { return e.weight_bytes(); }); })
        .def_prop_ro("bytes_per_token",
                     [](Guarded &self) { return self.alone([](myna::Executor &e) { return e.bytes_per_token(); }); })
        .def(
            "allocate_cache",
            [](Guarded &self, int blocks, int block_size, const std::string &dtype) {
                self.alone([&](myna::Executor &e) { e.allocate_cache(blocks, block_size, is_half(dtype)); });
            },
            "blocks"_a, "block_size"_a, "dtype"_a)
        .def(
            "cache_block_bytes",
            [](Guarded &self, int block_size, const std::string &dtype) {
                return self.alone([&](myna::Executor &e) { return e.cache_block_bytes(block_size, is_half(dtype)); });
            },
            "block_size"_a, "dtype"_a)
        .def("set_adapter", &Guarded::set_adapter, "slot"_a, "weights"_a)
        .def(
            "clear_adapter",
            [](Guarded &self, int slot) { self.alone([&](myna::Executor &e) { e.clear_adapter(slot); }); }, "slot"_a)
        .def("discard_blocks", &Guarded::discard_blocks, nb::arg("blocks").noconvert())
        .def("forward", &Guarded::forward, nb::arg("tokens").noconvert(), nb::arg("sequence_starts").noconvert(),
             nb::arg("context_lengths").noconvert(), nb::arg("block_tables").noconvert(),
             nb::arg("logit_rows").noconvert(), nb::arg("adapters").noconvert() = nb::none())
        .def("logits", &Guarded::logits)
        .def("score", &Guarded::score, nb::arg("rows").noconvert(), nb::arg("targets").noconvert(), "top_logprobs"_a);
    define_sampling(module, executor, &sample_request);
}
