// Compiled once for each instruction set, with its flags and these definitions:
//   MYNA_VARIANT  the namespace, such as avx2_vnni
//   MYNA_NAME     its name, such as "avx2-vnni"
//   MYNA_LANES    the header with its registers
// Everything below has internal linkage and uses no templates or inline functions of the standard library, so that
// the linker cannot take this file's copy of anything for code that must run on older processors.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../half.h"
#include "kernels.h"

#ifdef MYNA_X86
#include <immintrin.h>
#elif defined(MYNA_ARM)
#include <arm_neon.h>
#endif

namespace myna {
namespace MYNA_VARIANT {
namespace {

#include MYNA_LANES
#include "elementwise.h"
#include "products.h"
#include "attention.h"
#include "rounding.h"

const Kernels table = {
    MYNA_NAME, quantise,      product,      finish,      rms_norm,     layer_norm,  activate,
    add_rows,  multiply_rows, add_scaled,   softcap,     clamped_silu, rope,        write_cache,
    attend,    merge,         exponentials, log_sum_exp, read_words,   round_group,
};

}  // namespace

const Kernels &kernels() { return table; }

}  // namespace MYNA_VARIANT
}  // namespace myna
