// Memory straight from the system: page-aligned, zeroed, and resident only where it was touched.
#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace myna {

class Memory {
public:
    Memory() = default;
    // `huge` asks for huge pages, which spare address translation where all of it is read again and again.
    // Throws std::bad_alloc when the system refuses.
    explicit Memory(size_t bytes, bool huge = false);
    Memory(Memory &&other) noexcept { swap(other); }
    Memory &operator=(Memory &&other) noexcept {
        swap(other);
        return *this;
    }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    ~Memory();

    template <typename T> T *as() const { return static_cast<T *>(start_); }
    size_t bytes() const { return bytes_; }

    // At least `bytes`; what it held is lost when it has to grow, and when it is far too large, which frees the rest.
    void need(size_t bytes);

    // Gives the whole pages within `count` bytes from `first` on back to the system; what they held is lost. Nothing
    // where the system cannot (Windows).
    void discard(size_t first, size_t count);

private:
    void swap(Memory &other) {
        std::swap(start_, other.start_);
        std::swap(bytes_, other.bytes_);
    }
    void *start_ = nullptr;
    size_t bytes_ = 0;
};

// Many pieces that live and die together: all weights of a model.
class Arena {
public:
    // 64-byte aligned, zeroed.
    void *take(size_t bytes);

private:
    std::vector<Memory> chunks_;
    size_t used_ = 0;  // of the last chunk
};

}  // namespace myna
