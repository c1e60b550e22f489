// Choosing tokens from logits, and scoring given ones.
#pragma once
#include <vector>

#include "kernels/kernels.h"
#include "threads.h"

namespace myna {

// Rows of logits, with the kernels and threads to work on them.
struct Logits {
    const float *data;  // [rows, vocabulary]
    int rows, vocabulary;
    const Kernels &kernels;
    Team &team;

    const float *row(int i) const { return data + size_t(i) * size_t(vocabulary); }
};

// Row i's lists are [starts[i], starts[i + 1]) of the flat arrays; see Executor.sample in _native.pyi.
struct SampleRequest {
    int count;
    const int32_t *rows;
    const float *temperature;
    const int32_t *top_k;
    const float *top_p, *min_p, *repetition_penalty, *presence_penalty, *frequency_penalty;
    const uint64_t *seeds;
    const int64_t *positions;
    const int32_t *history, *history_starts, *prompt_lengths;
    const int32_t *bias_ids;
    const float *bias_values;
    const int32_t *bias_starts;
    const uint32_t *mask;  // [count, mask_words], or null
    int history_size, bias_size, mask_words;
    int top_logprobs;  // < 0: no log-probabilities at all
};

struct Choice {
    std::vector<int32_t> ids;       // [count]
    std::vector<float> logprobs;    // [count]
    std::vector<int32_t> top_ids;   // [count, top_logprobs]
    std::vector<float> top_values;  // [count, top_logprobs]
};

// Throws std::invalid_argument on any index or parameter out of range. A row with a logit that is not finite, or
// without an allowed token, gets the id -1.
Choice sample(const Logits &logits, const SampleRequest &request);

// Log-probabilities of given targets [count] at logit rows [count]; Choice::ids stays empty.
Choice score(const Logits &logits, int count, const int32_t *rows, const int32_t *targets, int top_logprobs);

// A number in [0, 1) keyed by seed and position: Philox4x32-10 (Salmon et al. 2011,
// https://doi.org/10.1145/2063384.2063405) with the seed as key and the position as counter.
double uniform(uint64_t seed, uint64_t position);

}  // namespace myna
