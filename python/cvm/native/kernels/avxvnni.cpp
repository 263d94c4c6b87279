// AVX2 with the 256-bit form of vpdpbusd.
#ifdef __AVXVNNI__

#include <cpuid.h>
#include <immintrin.h>

namespace cvm {
namespace {

struct Dot {
    using Bytes = __m256i;
    static constexpr int kRows = 6;
    static inline Bytes prepare(__m256i u8) { return u8; }
    static inline __m256i add(__m256i acc, Bytes x, __m256i w) { return _mm256_dpbusd_avx_epi32(acc, x, w); }
};

}  // namespace
}  // namespace cvm

#include "kernels/avx2.inl"

namespace cvm {
namespace {

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 128, false};
constexpr Kernels kTable = {"avxvnni", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program,
                             run_max_pool, run_sum, run_interleave3};

// Compilers learned the name "avxvnni" later than the instruction.
bool has_avxvnni() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4));
}

}  // namespace

const Kernels* avxvnni_kernels() {
    static const bool usable = __builtin_cpu_supports("avx2") && has_avxvnni();
    return usable ? &kTable : nullptr;
}

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* avxvnni_kernels() { return nullptr; }
}  // namespace cvm

#endif
