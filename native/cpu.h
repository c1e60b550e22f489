// What this processor can run.
#pragma once
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace myna {

// Kernels for this processor and operating system, best first.
std::vector<const Kernels *> available_kernels();

// Throws std::invalid_argument naming the ones there are.
const Kernels &kernels_named(const std::string &name);

// Median bytes a second over `repeats` runs in which `threads` threads read `megabytes` from memory together.
// Throws std::invalid_argument when an argument is not positive.
double read_bandwidth(int threads, int megabytes, int repeats);

}  // namespace myna
