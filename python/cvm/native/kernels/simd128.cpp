#include "kernels/kernels.h"

namespace cvm {
const Kernels* simd128_kernels() { return nullptr; }
}  // namespace cvm
