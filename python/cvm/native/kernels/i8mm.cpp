// ARMv8.6's products of matrices: usmmla multiplies the eight unsigned bytes of two pixels by the eight signed ones of two
// channels, and adds the four sums.
#if defined(__aarch64__) && defined(__ARM_FEATURE_MATMUL_INT8)

#include "kernels/neon.inl"

#ifdef __linux__
#include <sys/auxv.h>
#endif

namespace cvm {
namespace {

inline uint8x16_t pair_of(uint64x2_t a, uint64x2_t b, int half) {
    return vreinterpretq_u8_u64(half ? vzip2q_u64(a, b) : vzip1q_u64(a, b));
}

struct Loops {
    static constexpr int kDepth = 8, kOffset = 128, kRows = 4, kDepthwiseRows = 1;

    // Two steps at a time where there are two: a vector of each pixel's bytes.
    template <int ROWS>
    static inline void conv(const ConvTile& tile, int first, int block, int32x4_t (&acc)[ROWS][4]) {
        constexpr int kPairs = (ROWS + 1) / 2;  // a pixel without a neighbour is computed twice
        int32x4_t sums[kPairs][8];              // channels 2 i and 2 i + 1 of a pixel, then of the next
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const int32x2_t init = vld1_s32(tile.init + block * kLanes + 2 * i);
#pragma GCC unroll 8
            for (int p = 0; p < kPairs; ++p) sums[p][i] = vcombine_s32(init, init);
        }
        const int8_t* w = tile.weights + block * 128;
        const int64_t stride = tile.blocks * 128;
        for (int t = 0; t < tile.taps; ++t) {
            const uint8_t* x[2 * kPairs];
#pragma GCC unroll 8
            for (int r = 0; r < 2 * kPairs; ++r)
                x[r] = tile.pixels[first + (r < ROWS ? r : ROWS - 1)] + tile.first_input + tile.tap_offsets[t];
            const int64_t end = int64_t(tile.steps) * 8;
            int64_t s = 0;
            for (; s + 16 <= end; s += 16, w += 2 * stride) {
                uint8x16_t v[kPairs], u[kPairs];
#pragma GCC unroll 8
                for (int p = 0; p < kPairs; ++p) {
                    const uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(x[2 * p] + s));
                    const uint64x2_t b = vreinterpretq_u64_u8(vld1q_u8(x[2 * p + 1] + s));
                    v[p] = pair_of(a, b, 0);
                    u[p] = pair_of(a, b, 1);
                }
                step<kPairs>(sums, v, w);
                step<kPairs>(sums, u, w + stride);
            }
            if (s == end) continue;
            uint8x16_t v[kPairs];
#pragma GCC unroll 8
            for (int p = 0; p < kPairs; ++p) v[p] = vcombine_u8(vld1_u8(x[2 * p] + s), vld1_u8(x[2 * p + 1] + s));
            step<kPairs>(sums, v, w);
            w += stride;
        }
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const int64x2_t a = vreinterpretq_s64_s32(sums[r / 2][2 * i]), b = vreinterpretq_s64_s32(sums[r / 2][2 * i + 1]);
                acc[r][i] = vreinterpretq_s32_s64(r % 2 ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
            }
    }

    template <int PAIRS>
    static inline void step(int32x4_t (&sums)[PAIRS][8], const uint8x16_t (&v)[PAIRS], const int8_t* w) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const int8x16_t k = vld1q_s8(w + 16 * i);
#pragma GCC unroll 8
            for (int p = 0; p < PAIRS; ++p) sums[p][i] = vusmmlaq_s32(sums[p][i], v[p], k);
        }
    }

    template <int ROWS>
    static inline void depthwise(const DepthwiseTile& tile, int first, int block, int32x4_t (&acc)[ROWS][4]) {
        static_assert(ROWS == 1, "one pixel at a time");
        for (int i = 0; i < 4; ++i) acc[0][i] = vld1q_s32(tile.init + block * kLanes + 4 * i);
        const uint8_t* x = tile.pixels[first] + tile.channel + block * kLanes;
        const int8_t* w = tile.weights + block * 64;
        const int64_t* offsets = tile.tap_offsets;
        for (int q = 0; q < tile.steps; ++q, w += kTileWidth * 4, offsets += 4) {
            uint8x16_t v[4];
            interleave4(x, offsets, v);
            for (int i = 0; i < 4; ++i) acc[0][i] = vusdotq_s32(acc[0][i], v[i], vld1q_s8(w + 16 * i));
        }
    }
};

constexpr Kernels kTable = Table<Loops>::named("i8mm");

}  // namespace

const Kernels* i8mm_kernels() {
#ifdef __linux__
    static const bool usable = getauxval(AT_HWCAP2) & (1ul << 13);  // HWCAP2_I8MM
    return usable ? &kTable : nullptr;
#else
    return &kTable;  // compiled for processors that all have it
#endif
}

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* i8mm_kernels() { return nullptr; }
}  // namespace cvm

#endif
