// The threads that run a step together: one parallel region a step, with spin barriers inside.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace myna {

class Team {
public:
    // `threads` counts the caller of `run`, who works too.
    explicit Team(int threads);
    ~Team();
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    int threads() const { return threads_; }

    // Calls work(id) for id 0 … threads - 1, one a thread, and returns when all are done. `work` must not throw.
    void run(const std::function<void(int)> &work);

    // Inside `run`: nobody passes before everybody has arrived.
    void barrier();

private:
    void serve(int id);

    const int threads_;
    const std::function<void(int)> *work_ = nullptr;
    alignas(64) std::atomic<unsigned> round_{0};  // counts calls of run
    alignas(64) std::atomic<int> working_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> passed_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<int> asleep_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::thread> helpers_;
};

// Tells the processor that this is a spin loop.
void relax();

}  // namespace myna
