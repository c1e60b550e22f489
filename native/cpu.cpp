#include "cpu.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "memory.h"
#include "threads.h"

#ifdef MYNA_X86
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(MYNA_ARM) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace myna {

namespace {

#ifdef MYNA_X86

struct Registers {
    uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
    Registers r;
#ifdef _MSC_VER
    int values[4];
    __cpuid(values, 0);
    if (uint32_t(values[0]) < leaf) return r;
    __cpuidex(values, int(leaf), int(subleaf));
    r = {uint32_t(values[0]), uint32_t(values[1]), uint32_t(values[2]), uint32_t(values[3])};
#else
    if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) r = {};
#endif
    return r;
}

// Registers that the operating system saves when it switches between threads (XCR0).
uint64_t saved_state() {
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t(high) << 32 | low;
#endif
}

bool bit(uint32_t word, int index) { return word >> index & 1; }

// Bits as in the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID.
void find_x86(std::vector<const Kernels *> &found) {
    Registers basic = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
    if (!bit(basic.c, 27)) return;  // OSXSAVE: xgetbv may be asked
    uint64_t saved = saved_state();
    bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
    bool has_avx2 = ymm && bit(basic.c, 12) && bit(basic.c, 28) && bit(basic.c, 29) && bit(extended.b, 5);
    bool has_avx512 =
        zmm && has_avx2 && bit(extended.b, 16) && bit(extended.b, 17) && bit(extended.b, 30) && bit(extended.b, 31);
    if (has_avx512 && bit(extended.c, 11)) found.push_back(&avx512_vnni::kernels());
    if (has_avx2 && bit(more.a, 4)) found.push_back(&avx2_vnni::kernels());
    if (has_avx2) found.push_back(&avx2::kernels());
}

#elif defined(MYNA_ARM)

bool has_dot_product() {
#ifdef __linux__
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return true;  // every Apple processor, and every one that Windows 11 on Arm supports
#endif
}

#endif

}  // namespace

std::vector<const Kernels *> available_kernels() {
    std::vector<const Kernels *> found;
#ifdef MYNA_X86
    find_x86(found);
#elif defined(MYNA_ARM)
    if (has_dot_product()) found.push_back(&neon::kernels());
#endif
    found.push_back(&generic::kernels());
    return found;
}

const Kernels &kernels_named(const std::string &name) {
    std::string known;
    for (const Kernels *kernels : available_kernels()) {
        if (name == kernels->name) return *kernels;
        known += (known.empty() ? "" : ", ") + std::string(kernels->name);
    }
    throw std::invalid_argument("instruction set " + name + " is not available on this processor; there are " + known);
}

double read_bandwidth(int threads, int megabytes, int repeats) {
    if (threads < 1 || threads > 1024)
        throw std::invalid_argument("threads = " + std::to_string(threads) + " is not in 1 … 1024");
    if (megabytes < 1) throw std::invalid_argument("megabytes = " + std::to_string(megabytes) + " is not positive");
    if (repeats < 1) throw std::invalid_argument("repeats = " + std::to_string(repeats) + " is not positive");
    constexpr size_t piece = 16 << 10;  // words a claim
    const size_t words = (size_t(megabytes) << 20) / sizeof(uint64_t);
    Memory memory(words * sizeof(uint64_t), true);
    std::memset(memory.as<char>(), 1, memory.bytes());
    const Kernels &kernels = *available_kernels().front();
    Team team(threads);
    std::atomic<uint64_t> sum{0};  // keeps the reads alive
    std::vector<double> rates;
    for (int i = 0; i < repeats; i++) {
        auto start = std::chrono::steady_clock::now();
        team.each(int((words + piece - 1) / piece), 1, [&](int, int i) {
            size_t at = size_t(i) * piece;
            sum += kernels.read(memory.as<uint64_t>() + at, std::min(piece, words - at));
        });
        std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        rates.push_back(double(memory.bytes()) / seconds.count());
    }
    std::nth_element(rates.begin(), rates.begin() + repeats / 2, rates.end());
    return rates[size_t(repeats) / 2];
}

}  // namespace myna
