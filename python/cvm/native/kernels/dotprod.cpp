// ARMv8.2's dot product: sdot multiplies 16 signed bytes by 16 others and adds groups of four to int32 lanes.
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)

#include "kernels/neon.inl"

#ifdef __linux__
#include <sys/auxv.h>
#endif

namespace cvm {
namespace {

struct Loops {
    static constexpr int kDepth = 4, kOffset = 0, kRows = 4, kDepthwiseRows = 1;

    // Four steps at a time: a step is a quarter of a vector of the pixel's bytes.
    template <int ROWS>
    static inline void conv(const ConvTile& tile, int first, int block, int32x4_t (&acc)[ROWS][4]) {
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
            for (int i = 0; i < 4; ++i) acc[r][i] = vld1q_s32(tile.init + block * kLanes + 4 * i);
        const int8_t* w = tile.weights + block * 64;
        const int64_t stride = tile.blocks * 64;
        for (int t = 0; t < tile.taps; ++t) {
            const uint8_t* x[ROWS];
#pragma GCC unroll 8
            for (int r = 0; r < ROWS; ++r) x[r] = tile.pixels[first + r] + tile.first_input + tile.tap_offsets[t];
            const int64_t end = int64_t(tile.steps) * 4;
            int64_t s = 0;
            for (; s + 16 <= end; s += 16) {
                int8x16_t v[ROWS];
#pragma GCC unroll 8
                for (int r = 0; r < ROWS; ++r) v[r] = unbiased(x[r] + s);
                step<ROWS, 0>(acc, v, w), w += stride;
                step<ROWS, 1>(acc, v, w), w += stride;
                step<ROWS, 2>(acc, v, w), w += stride;
                step<ROWS, 3>(acc, v, w), w += stride;
            }
            for (; s < end; s += 4, w += stride) {
                int8x16_t v[ROWS];
#pragma GCC unroll 8
                for (int r = 0; r < ROWS; ++r) v[r] = veorq_s8(broadcast4(x[r] + s), vdupq_n_s8(-128));
                step<ROWS, 0>(acc, v, w);
            }
        }
    }

    template <int ROWS, int QUARTER>
    static inline void step(int32x4_t (&acc)[ROWS][4], const int8x16_t (&v)[ROWS], const int8_t* w) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const int8x16_t k = vld1q_s8(w + 16 * i);
#pragma GCC unroll 8
            for (int r = 0; r < ROWS; ++r) acc[r][i] = vdotq_laneq_s32(acc[r][i], k, v[r], QUARTER);
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
            for (int i = 0; i < 4; ++i) {
                const int8x16_t values = vreinterpretq_s8_u8(veorq_u8(v[i], vdupq_n_u8(128)));
                acc[0][i] = vdotq_s32(acc[0][i], values, vld1q_s8(w + 16 * i));
            }
        }
    }
};

constexpr Kernels kTable = Table<Loops>::named("dotprod");

}  // namespace

const Kernels* dotprod_kernels() {
#ifdef __linux__
    static const bool usable = getauxval(AT_HWCAP) & (1ul << 20);  // HWCAP_ASIMDDP
    return usable ? &kTable : nullptr;
#else
    return &kTable;  // compiled for processors that all have it
#endif
}

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* dotprod_kernels() { return nullptr; }
}  // namespace cvm

#endif
