// AVX2 without dot-product instructions. vpmaddubsw adds two products in int16 and saturates, which a value of
// 0..255 could reach; with the magnitude of the signed value (at most 128) and the sign moved to the weight (at most
// 127), the two products stay within 2 * 128 * 127 = 32512.
#ifdef __AVX2__

#include <immintrin.h>

namespace cvm {
namespace {

struct Dot {
    struct Bytes {
        __m256i magnitude, value;
    };
    static constexpr int kRows = 4;
    static inline Bytes prepare(__m256i u8) {
        const __m256i value = _mm256_xor_si256(u8, _mm256_set1_epi8(-128));
        return {_mm256_abs_epi8(value), value};
    }
    static inline __m256i add(__m256i acc, Bytes x, __m256i w) {
        const __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(w, x.value));
        return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
};

}  // namespace
}  // namespace cvm

#include "kernels/avx2.inl"

namespace cvm {
namespace {

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 0, false};
constexpr Kernels kTable = {"avx2", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program,
                             run_max_pool, run_sum, run_interleave3};

}  // namespace

const Kernels* avx2_kernels() { return __builtin_cpu_supports("avx2") ? &kTable : nullptr; }

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace cvm

#endif
