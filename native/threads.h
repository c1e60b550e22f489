// The threads that share a model's work, on machines whose cores they may not have to themselves.
//
// All parallel work is cut into phases. A phase's units are claimed from a counter, and a phase is over when all its
// units are finished, not when all threads have arrived: a thread that the system has put aside holds up the others
// only if it had claimed something, and finds out that it was overtaken when it comes back. For that, counters carry
// the round (the step) that they count for, and a thread touches a round's data only between a claim and its report.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace myna {

// Tells the processor that this is a spin loop, and after many turns the system that others may run.
class Spin {
public:
    void turn();

private:
    int turns_ = 0;
};

class Phase {
public:
    // Claims units of 0 … total - 1 (total < 2^24), share(remaining) at a time, and calls work(first, last) for each
    // share until none is left; then waits until all are finished, by whomever. Returns false when the round is over
    // already.
    template <typename Share, typename Work> bool run(uint64_t round, int total, const Share &share, const Work &work) {
        uint64_t seen = claimed_.load(std::memory_order_acquire);
        for (;;) {
            if (later(seen, round)) return false;
            int next = count(seen, round);
            if (next >= total) break;
            int stop = next + share(total - next);
            if (!claimed_.compare_exchange_weak(seen, word(round, stop), std::memory_order_acq_rel)) continue;
            work(next, stop);
            report(round, stop - next);
            seen = claimed_.load(std::memory_order_acquire);
        }
        return total == 0 || wait(round, total);
    }

private:
    // 40 bits of round, enough for decades, and 24 of count.
    static uint64_t word(uint64_t round, int count) { return round << 24 | uint64_t(count); }
    // A count left over from an earlier round is 0.
    static int count(uint64_t word, uint64_t round) { return word >> 24 == round ? int(word & 0xffffff) : 0; }
    static bool later(uint64_t word, uint64_t round) { return word >> 24 > round; }
    void report(uint64_t round, int units);
    bool wait(uint64_t round, int total);

    alignas(64) std::atomic<uint64_t> claimed_{0};
    alignas(64) std::atomic<uint64_t> finished_{0};
};

// What a team works on. It must live as long as the team.
class Job {
public:
    // Runs the round's phases, or what is left of them. Thread 0 is the one that called Team::run; a helper comes late
    // or not at all.
    virtual void work(int thread, uint64_t round) = 0;

protected:
    ~Job() = default;
};

class Team {
public:
    // `threads` counts the caller of `run`, who works too.
    explicit Team(int threads);
    ~Team();
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    int threads() const { return threads_; }
    uint64_t next_round() const { return round_.load(std::memory_order_relaxed) + 1; }

    // Starts a round of `job` and works on it; returns when its phases are finished. `job` must not throw.
    void run(Job &job);

    // body(thread, i) for every i of 0 … count - 1, `share` of them at a time.
    void each(int count, int share, const std::function<void(int, int)> &body);

private:
    struct Loop final : Job {
        void work(int thread, uint64_t round) override;
        Phase phase;
        std::atomic<const std::function<void(int, int)> *> body{nullptr};
        std::atomic<uint64_t> round{0};
        std::atomic<int> count{0}, share{1};
    };

    void serve(int thread);

    const int threads_;
    Loop loop_;
    std::atomic<Job *> job_{nullptr};
    alignas(64) std::atomic<uint64_t> round_{0};
    alignas(64) std::atomic<int> asleep_{0};
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::thread> helpers_;
};

}  // namespace myna
