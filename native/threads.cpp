#include "threads.h"

#include <algorithm>

#if defined(_M_X64) || defined(__x86_64__)
#include <immintrin.h>
#endif

namespace myna {

namespace {

// Within a step the others are done within microseconds, unless the system has taken a core away: then make room.
constexpr int turns_before_yield = 2000;
// Between the steps of a stream the next one follows within some tens of microseconds; after that, sleep.
constexpr int turns_before_sleep = 3000;

void relax() {
#if defined(_M_X64) || defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
    __asm__ __volatile__("yield");
#endif
}

}  // namespace

void Spin::turn() {
    if (++turns_ < turns_before_yield) relax();
    else std::this_thread::yield();
}

void Phase::report(uint64_t round, int units) {
    uint64_t seen = finished_.load(std::memory_order_relaxed);
    while (!finished_.compare_exchange_weak(seen, word(round, count(seen, round) + units), std::memory_order_acq_rel)) {
    }
}

bool Phase::wait(uint64_t round, int total) {
    for (Spin spin;; spin.turn()) {
        uint64_t seen = finished_.load(std::memory_order_acquire);
        if (seen == word(round, total)) return true;
        if (later(seen, round)) return false;
    }
}

Team::Team(int threads) : threads_(threads) {
    for (int thread = 1; thread < threads; thread++) helpers_.emplace_back([this, thread] { serve(thread); });
}

Team::~Team() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
        round_++;
    }
    wake_.notify_all();
    for (std::thread &helper : helpers_) helper.join();
}

void Team::run(Job &job) {
    job_ = &job;
    uint64_t round =
        ++round_;  // sequentially consistent, as is asleep_: a sleeper sees the round or we see the sleeper
    if (asleep_ > 0) {
        { std::lock_guard<std::mutex> lock(mutex_); }
        wake_.notify_all();
    }
    job.work(0, round);
}

void Team::each(int count, int share, const std::function<void(int, int)> &body) {
    loop_.round = next_round();  // first: a late helper of an earlier round notices before it uses what follows
    loop_.body = &body, loop_.count = count, loop_.share = share;
    run(loop_);
}

void Team::Loop::work(int thread, uint64_t round) {
    int total = count, most = share;
    const auto *function = body.load();
    if (this->round != round) return;
    phase.run(
        round, total, [most](int left) { return std::min(most, left); },
        [&](int first, int last) {
            for (int i = first; i < last; i++) (*function)(thread, i);
        });
}

void Team::serve(int thread) {
    uint64_t seen = 0;
    for (;;) {
        for (int turns = 0; round_ == seen && turns < turns_before_sleep; turns++) relax();
        if (round_ == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            asleep_++;
            wake_.wait(lock, [this, seen] { return round_ != seen; });
            asleep_--;
        }
        if (stopping_) return;
        // A job read after its round began may belong to a later one, whose number its phases then tell apart.
        seen = round_;
        job_.load()->work(thread, seen);
    }
}

}  // namespace myna
