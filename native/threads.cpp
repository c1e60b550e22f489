#include "threads.h"

#if defined(_M_X64) || defined(__x86_64__)
#include <immintrin.h>
#endif

namespace myna {

void relax() {
#if defined(_M_X64) || defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
    __asm__ __volatile__("yield");
#endif
}

namespace {

// Between ops the others arrive within microseconds, unless the system has taken a core away: then yield to it.
constexpr int spins_before_yield = 4000;
// Between the steps of a stream the next one follows within some tens of microseconds; after that, sleep.
constexpr int spins_before_sleep = 3000;

template <typename Condition> void spin_until(Condition condition) {
    for (int spins = 0; !condition();) {
        if (++spins < spins_before_yield) relax();
        else std::this_thread::yield();
    }
}

}  // namespace

Team::Team(int threads) : threads_(threads) {
    for (int id = 1; id < threads; id++) helpers_.emplace_back([this, id] { serve(id); });
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

void Team::run(const std::function<void(int)> &work) {
    work_ = &work;
    working_.store(threads_ - 1, std::memory_order_relaxed);
    round_++;  // sequentially consistent, as is asleep_: either the sleeper sees the new round or we see the sleeper
    if (asleep_ > 0) {
        { std::lock_guard<std::mutex> lock(mutex_); }
        wake_.notify_all();
    }
    work(0);
    spin_until([this] { return working_.load(std::memory_order_acquire) == 0; });
}

void Team::barrier() {
    if (threads_ == 1) return;
    unsigned ticket = passed_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        passed_.store(ticket + 1, std::memory_order_release);
        return;
    }
    spin_until([this, ticket] { return passed_.load(std::memory_order_acquire) != ticket; });
}

void Team::serve(int id) {
    unsigned seen = 0;
    for (;;) {
        for (int spins = 0; round_ == seen && spins < spins_before_sleep; spins++) relax();
        if (round_ == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            asleep_++;
            wake_.wait(lock, [this, seen] { return round_ != seen; });
            asleep_--;
        }
        seen++;
        if (stopping_) return;
        (*work_)(id);
        working_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace myna
