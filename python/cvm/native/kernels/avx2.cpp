// AVX2 without dot-product instructions.
#include "kernels/kernels.h"

namespace cvm {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace cvm
