#include "sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace myna {

double uniform(uint64_t seed, uint64_t position) {
    uint32_t counter[4] = {uint32_t(position), uint32_t(position >> 32), 0, 0};
    uint32_t key[2] = {uint32_t(seed), uint32_t(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = uint64_t(0xD2511F53u) * counter[0], b = uint64_t(0xCD9E8D57u) * counter[2];
        uint32_t next[4] = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b),
                            uint32_t(a >> 32) ^ counter[3] ^ key[1], uint32_t(a)};
        std::copy(next, next + 4, counter);
        key[0] += 0x9E3779B9u, key[1] += 0xBB67AE85u;
    }
    uint64_t bits = (uint64_t(counter[0]) << 32 | counter[1]) >> 11;
    return double(bits) * 0x1p-53;
}

namespace {

[[noreturn]] void fail(const std::string &message) { throw std::invalid_argument(message); }

void expect(bool condition, int row, const char *field, double value) {
    if (!condition)
        fail(std::string(field) + "[" + std::to_string(row) + "] = " + std::to_string(value) + " is out of range");
}

void check_list(const char *name, const int32_t *starts, int count, const int32_t *ids, int size, int vocabulary) {
    if (starts[0] != 0 || starts[count] != size)
        fail(std::string(name) + "_starts must run from 0 to the length of the list, " + std::to_string(size));
    for (int i = 0; i < count; i++)
        if (starts[i + 1] < starts[i]) fail(std::string(name) + "_starts must not decrease");
    for (int i = 0; i < size; i++) expect(ids[i] >= 0 && ids[i] < vocabulary, i, name, ids[i]);
}

void check(int vocabulary, const SampleRequest &r) {
    check_list("history", r.history_starts, r.count, r.history, r.history_size, vocabulary);
    check_list("bias_ids", r.bias_starts, r.count, r.bias_ids, r.bias_size, vocabulary);
    for (int i = 0; i < r.bias_size; i++) expect(!std::isnan(r.bias_values[i]), i, "bias_values", r.bias_values[i]);
    if (r.mask && r.mask_words != (vocabulary + 31) / 32)
        fail("mask has " + std::to_string(r.mask_words) + " words a row instead of " +
             std::to_string((vocabulary + 31) / 32));
    for (int i = 0; i < r.count; i++) {
        expect(r.temperature[i] >= 0 && std::isfinite(r.temperature[i]), i, "temperature", r.temperature[i]);
        expect(r.top_k[i] >= 0, i, "top_k", r.top_k[i]);
        expect(r.top_p[i] > 0 && r.top_p[i] <= 1, i, "top_p", r.top_p[i]);
        expect(r.min_p[i] >= 0 && r.min_p[i] <= 1, i, "min_p", r.min_p[i]);
        expect(r.repetition_penalty[i] > 0 && std::isfinite(r.repetition_penalty[i]), i, "repetition_penalty",
               r.repetition_penalty[i]);
        expect(std::isfinite(r.presence_penalty[i]), i, "presence_penalty", r.presence_penalty[i]);
        expect(std::isfinite(r.frequency_penalty[i]), i, "frequency_penalty", r.frequency_penalty[i]);
        expect(r.prompt_lengths[i] >= 0 && r.prompt_lengths[i] <= r.history_starts[i + 1] - r.history_starts[i], i,
               "prompt_lengths", r.prompt_lengths[i]);
    }
}

void check_rows(const Logits &logits, int count, const int32_t *rows, int top_logprobs) {
    for (int i = 0; i < count; i++) expect(rows[i] >= 0 && rows[i] < logits.rows, i, "rows", rows[i]);
    if (top_logprobs > logits.vocabulary)
        fail("top_logprobs = " + std::to_string(top_logprobs) + " is more than the vocabulary, " +
             std::to_string(logits.vocabulary));
}

// The first index of the largest value.
int first_of(const float *x, int size, float value) {
    constexpr int block = 64;
    for (int i = 0; i < size; i += block) {
        int stop = std::min(i + block, size), hits = 0;
        for (int j = i; j < stop; j++) hits += x[j] == value;
        for (int j = i; hits && j < stop; j++)
            if (x[j] == value) return j;
    }
    return -1;
}

// The likeliest `count` tokens, best first, equal ones by id; with their log-probabilities.
void likeliest(const float *logits, int size, float log_sum, int count, int32_t *ids, float *values) {
    auto better = [logits](int a, int b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
    std::vector<int> heap;  // the worst of the best on top
    for (int i = 0; i < size && count > 0; i++) {
        if (int(heap.size()) == count) {
            if (logits[i] <= logits[heap.front()]) continue;
            std::pop_heap(heap.begin(), heap.end(), better);
            heap.back() = i;
        } else {
            heap.push_back(i);
        }
        std::push_heap(heap.begin(), heap.end(), better);
    }
    std::sort_heap(heap.begin(), heap.end(), better);
    for (int i = 0; i < count; i++) ids[i] = heap[i], values[i] = logits[heap[i]] - log_sum;
}

// One thread's room for one row at a time.
class Sampler {
public:
    Sampler(const Logits &logits, const SampleRequest &request) : logits_(logits), request_(request) {}

    int32_t choose(int i) {
        const SampleRequest &r = request_;
        const float *logits = logits_.row(r.rows[i]);
        const int size = logits_.vocabulary;
        const bool penalised =
            r.repetition_penalty[i] != 1 || r.presence_penalty[i] != 0 || r.frequency_penalty[i] != 0;
        float peak;
        logits_.kernels.log_sum_exp(logits, size, &peak, nullptr);
        if (!std::isfinite(peak)) return -1;
        const bool masked = forbids(i);
        if (penalised || r.bias_starts[i + 1] > r.bias_starts[i] || masked) {
            changed_.assign(logits, logits + size);
            if (penalised) penalise(i);
            for (int j = r.bias_starts[i]; j < r.bias_starts[i + 1]; j++) changed_[r.bias_ids[j]] += r.bias_values[j];
            if (masked) mask(i);
            logits = changed_.data();
            peak = *std::max_element(logits, logits + size);
            if (!std::isfinite(peak)) return -1;
        }
        if (r.temperature[i] == 0) return first_of(logits, size, peak);
        return draw(i, logits, peak);
    }

private:
    // Whether a row's mask forbids any token: most rows of a batch have no grammar, and go on untouched.
    bool forbids(int i) const {
        const SampleRequest &r = request_;
        if (!r.mask) return false;
        const uint32_t *words = r.mask + size_t(i) * r.mask_words;
        return std::any_of(words, words + r.mask_words, [](uint32_t word) { return word != ~uint32_t(0); });
    }

    void mask(int i) {
        const uint32_t *words = request_.mask + size_t(i) * request_.mask_words;
        for (int first = 0; first < logits_.vocabulary; first += 32) {
            const uint32_t word = words[first / 32];
            if (word == ~uint32_t(0)) continue;
            const int end = std::min(first + 32, logits_.vocabulary);
            for (int id = first; id < end; id++)
                if (!(word >> (id - first) & 1)) changed_[id] = -std::numeric_limits<float>::infinity();
        }
    }

    // Keskar et al. 2019 for repetition; OpenAI's definition for presence and frequency.
    void penalise(int i) {
        const SampleRequest &r = request_;
        counts_.resize(changed_.size());
        const int32_t *start = r.history + r.history_starts[i], *stop = r.history + r.history_starts[i + 1];
        for (const int32_t *id = start + r.prompt_lengths[i]; id < stop; id++) counts_[*id]++;
        for (const int32_t *id = start; id < stop; id++) {
            int &count = counts_[*id];
            if (count < 0) continue;  // done
            float &logit = changed_[*id];
            logit = logit > 0 ? logit / r.repetition_penalty[i] : logit * r.repetition_penalty[i];
            logit -= r.frequency_penalty[i] * float(count) + (count > 0 ? r.presence_penalty[i] : 0);
            count = -1;
        }
        for (const int32_t *id = start; id < stop; id++) counts_[*id] = 0;
    }

    int32_t draw(int i, const float *logits, float peak) {
        const SampleRequest &r = request_;
        const int size = logits_.vocabulary, top_k = r.top_k[i] ? std::min(r.top_k[i], size) : size;
        const double chance = uniform(r.seeds[i], uint64_t(r.positions[i]));
        weights_.resize(size_t(size));
        logits_.kernels.exponentials(logits, size, peak, 1 / r.temperature[i], weights_.data());
        double all = 0;
        for (float weight : weights_) all += weight;
        if (top_k == size && r.top_p[i] == 1 && r.min_p[i] == 0) {
            double left = chance * all;
            int last = 0;
            for (int id = 0; id < size; id++) {
                if (weights_[id] == 0) continue;
                last = id;
                if ((left -= weights_[id]) < 0) break;
            }
            return last;
        }
        gather(top_k, r.top_p[i] * all, r.min_p[i]);
        auto better = [this](int a, int b) { return weights_[a] != weights_[b] ? weights_[a] > weights_[b] : a < b; };
        if (int(candidates_.size()) > top_k) {
            std::nth_element(candidates_.begin(), candidates_.begin() + top_k, candidates_.end(), better);
            candidates_.resize(size_t(top_k));
        }
        if (top_k < size) all = sum(candidates_.begin(), candidates_.end());
        if (r.top_p[i] < 1) keep_mass(r.top_p[i] * all, better);
        std::erase_if(candidates_, [this, least = r.min_p[i]](int id) { return weights_[id] < least; });
        std::sort(candidates_.begin(), candidates_.end());  // by id: one order, however they were selected
        double left = chance * sum(candidates_.begin(), candidates_.end());
        for (int id : candidates_)
            if ((left -= weights_[id]) < 0) return id;
        return candidates_.back();
    }

    using Ids = std::vector<int>::iterator;

    double sum(Ids first, Ids last) const {
        double total = 0;
        for (Ids id = first; id != last; ++id) total += weights_[*id];
        return total;
    }

    // The tokens above some weight, such that the top_k likeliest, those that make up `mass`, or all that weigh min_p
    // (the likeliest weighs 1) are among them: few, unless the distribution is flat.
    void gather(int top_k, double mass, float min_p) {
        const int size = logits_.vocabulary;
        for (float least : {0x1p-6f, 0x1p-12f, 0x1p-20f, std::numeric_limits<float>::min()}) {
            candidates_.clear();
            double total = 0;
            for (int id = 0; id < size; id++) {
                if (weights_[id] < least) continue;
                candidates_.push_back(id), total += weights_[id];
            }
            if (int(candidates_.size()) >= top_k || total >= mass || min_p >= least) return;
        }
    }

    // Leaves the smallest set of likeliest candidates that reaches `mass`, by halving where it may end.
    template <typename Better> void keep_mass(double mass, const Better &better) {
        Ids first = candidates_.begin(), last = candidates_.end();
        while (last - first > 1) {
            Ids middle = first + (last - first) / 2;
            std::nth_element(first, middle, last, better);
            double half = sum(first, middle);
            if (half >= mass) last = middle;
            else mass -= half, first = middle;
        }
        candidates_.resize(size_t(first - candidates_.begin()) + 1);
    }

    const Logits &logits_;
    const SampleRequest &request_;
    std::vector<float> changed_, weights_;
    std::vector<int> counts_, candidates_;
};

// Log-probability of the row's token and its rivals, of the model's own distribution.
void describe(const Logits &all, int row, int32_t id, int index, int top, Choice &choice) {
    const float *logits = all.row(row);
    float peak, log_sum;
    all.kernels.log_sum_exp(logits, all.vocabulary, &peak, &log_sum);
    const bool broken = !std::isfinite(peak);
    choice.logprobs[index] = broken || id < 0 ? std::numeric_limits<float>::quiet_NaN() : logits[id] - log_sum;
    if (!broken)
        likeliest(logits, all.vocabulary, log_sum, top, choice.top_ids.data() + size_t(index) * top,
                  choice.top_values.data() + size_t(index) * top);
}

Choice empty_choice(int count, int top) {
    Choice choice;
    if (top < 0) return choice;
    choice.logprobs.resize(size_t(count));
    choice.top_ids.assign(size_t(count) * top, -1);
    choice.top_values.assign(size_t(count) * top, std::numeric_limits<float>::quiet_NaN());
    return choice;
}

}  // namespace

Choice sample(const Logits &logits, const SampleRequest &request) {
    check_rows(logits, request.count, request.rows, request.top_logprobs);
    check(logits.vocabulary, request);
    Choice choice = empty_choice(request.count, request.top_logprobs);
    choice.ids.resize(size_t(request.count));
    std::vector<Sampler> samplers(size_t(logits.team.threads()), Sampler(logits, request));
    logits.team.each(request.count, 1, [&](int thread, int i) {
        choice.ids[i] = samplers[thread].choose(i);
        if (request.top_logprobs >= 0)
            describe(logits, request.rows[i], choice.ids[i], i, request.top_logprobs, choice);
    });
    return choice;
}

Choice score(const Logits &logits, int count, const int32_t *rows, const int32_t *targets, int top_logprobs) {
    check_rows(logits, count, rows, top_logprobs);
    for (int i = 0; i < count; i++) expect(targets[i] >= 0 && targets[i] < logits.vocabulary, i, "targets", targets[i]);
    Choice choice = empty_choice(count, std::max(top_logprobs, 0));
    logits.team.each(count, 1,
                     [&](int, int i) { describe(logits, rows[i], targets[i], i, std::max(top_logprobs, 0), choice); });
    return choice;
}

}  // namespace myna
