#include "memory.h"

#include <new>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace myna {

Memory::Memory(size_t bytes, [[maybe_unused]] bool huge) : bytes_(bytes) {
    if (bytes == 0) return;
#ifdef _WIN32
    start_ = VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (!start_) throw std::bad_alloc();
#else
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
    flags |= MAP_NORESERVE;
#endif
    void *start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    start_ = start;
#ifdef MADV_HUGEPAGE
    if (huge) madvise(start, bytes, MADV_HUGEPAGE);  // advice: refusal changes nothing but speed
#endif
#endif
}

Memory::~Memory() {
    if (!start_) return;
#ifdef _WIN32
    VirtualFree(start_, 0, MEM_RELEASE);
#else
    munmap(start_, bytes_);
#endif
}

void Memory::need(size_t bytes) {
    constexpr size_t keep = size_t(32) << 20;  // below this, a spare buffer is not worth a system call
    if (bytes <= bytes_ && (bytes_ <= keep || bytes >= bytes_ / 4)) return;
    *this = Memory();
    *this = Memory(bytes);
}

void Memory::discard([[maybe_unused]] size_t first, [[maybe_unused]] size_t count) {
#ifndef _WIN32
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t start = (first + page - 1) / page * page, stop = (first + count) / page * page;
    if (start >= stop) return;
#ifdef __APPLE__
    const int advice = MADV_FREE;  // DONTNEED keeps the pages there
#else
    const int advice = MADV_DONTNEED;
#endif
    madvise(as<char>() + start, stop - start, advice);  // advice: refusal costs memory only
#endif
}

void *Arena::take(size_t bytes) {
    constexpr size_t chunk = size_t(64) << 20;
    bytes = (bytes + 63) / 64 * 64;
    if (chunks_.empty() || used_ + bytes > chunks_.back().bytes()) {
        chunks_.emplace_back(bytes > chunk ? bytes : chunk, true);
        used_ = 0;
    }
    void *piece = chunks_.back().as<char>() + used_;
    used_ += bytes;
    return piece;
}

}  // namespace myna
