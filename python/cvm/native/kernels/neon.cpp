// NEON without dot-product instructions: products of signed bytes are added in pairs in int16, which two of them cannot
// leave (2 * 128 * 127 = 32512), then to int32.
#ifdef __aarch64__

#include "kernels/neon.inl"

namespace cvm {
namespace {

struct Loops {
    static constexpr int kDepth = 4, kOffset = 0, kRows = 2, kDepthwiseRows = 4;

    // Steps go in pairs. Every channel has two sums, of even and of odd pairs of bytes, until the end.
    template <int ROWS>
    static inline void conv(const ConvTile& tile, int first, int block, int32x4_t (&acc)[ROWS][4]) {
        int32x4_t sums[ROWS][8];
        for (int r = 0; r < ROWS; ++r)
            for (int i = 0; i < 8; ++i) sums[r][i] = vdupq_n_s32(0);
        const int8_t* w = tile.weights + block * 64;
        const int64_t stride = tile.blocks * 64;
        for (int t = 0; t < tile.taps; ++t) {
            const uint8_t* x[ROWS];
            for (int r = 0; r < ROWS; ++r) x[r] = tile.pixels[first + r] + tile.first_input + tile.tap_offsets[t];
            const int64_t end = int64_t(tile.steps) * 4;
            int64_t s = 0;
            for (; s + 8 <= end; s += 8, w += 2 * stride) {
                int8x16_t a[ROWS], b[ROWS];
                for (int r = 0; r < ROWS; ++r) {
                    const int32x2_t v = vreinterpret_s32_u8(veor_u8(vld1_u8(x[r] + s), vdup_n_u8(128)));
                    a[r] = vreinterpretq_s8_s32(vdupq_lane_s32(v, 0));
                    b[r] = vreinterpretq_s8_s32(vdupq_lane_s32(v, 1));
                }
                for (int i = 0; i < 4; ++i) {
                    const int8x16_t k = vld1q_s8(w + 16 * i), l = vld1q_s8(w + stride + 16 * i);
                    for (int r = 0; r < ROWS; ++r) {
                        const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(k), vget_low_s8(a[r])), vget_low_s8(l), vget_low_s8(b[r]));
                        const int16x8_t high = vmlal_high_s8(vmull_high_s8(k, a[r]), l, b[r]);
                        sums[r][2 * i] = vpadalq_s16(sums[r][2 * i], low);
                        sums[r][2 * i + 1] = vpadalq_s16(sums[r][2 * i + 1], high);
                    }
                }
            }
            if (s == end) continue;
            for (int r = 0; r < ROWS; ++r) {
                const int8x16_t a = veorq_s8(broadcast4(x[r] + s), vdupq_n_s8(-128));
                for (int i = 0; i < 4; ++i) {
                    const int8x16_t k = vld1q_s8(w + 16 * i);
                    sums[r][2 * i] = vpadalq_s16(sums[r][2 * i], vmull_s8(vget_low_s8(k), vget_low_s8(a)));
                    sums[r][2 * i + 1] = vpadalq_s16(sums[r][2 * i + 1], vmull_high_s8(k, a));
                }
            }
            w += stride;
        }
        for (int r = 0; r < ROWS; ++r)
            for (int i = 0; i < 4; ++i)
                acc[r][i] = vaddq_s32(vpaddq_s32(sums[r][2 * i], sums[r][2 * i + 1]), vld1q_s32(tile.init + block * kLanes + 4 * i));
    }

    template <int ROWS>
    static inline void depthwise(const DepthwiseTile& tile, int first, int block, int32x4_t (&acc)[ROWS][4]) {
        for (int r = 0; r < ROWS; ++r)
            for (int i = 0; i < 4; ++i) acc[r][i] = vld1q_s32(tile.init + block * kLanes + 4 * i);
        const int8_t* w = tile.weights + block * 64;
        const int64_t* offsets = tile.tap_offsets;
        for (int q = 0; q < tile.steps; ++q, w += kTileWidth * 4, offsets += 4) {
            const int8x16x4_t taps = vld4q_s8(w);
            for (int r = 0; r < ROWS; ++r) {
                const uint8_t* x = tile.pixels[first + r] + tile.channel + block * kLanes;
                for (int j = 0; j < 4; j += 2) {
                    const int8x16_t a = unbiased(x + offsets[j]), b = unbiased(x + offsets[j + 1]);
                    const int8x16_t k = taps.val[j], l = taps.val[j + 1];
                    const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(k)), vget_low_s8(b), vget_low_s8(l));
                    const int16x8_t high = vmlal_high_s8(vmull_high_s8(a, k), b, l);
                    acc[r][0] = vaddw_s16(acc[r][0], vget_low_s16(low));
                    acc[r][1] = vaddw_high_s16(acc[r][1], low);
                    acc[r][2] = vaddw_s16(acc[r][2], vget_low_s16(high));
                    acc[r][3] = vaddw_high_s16(acc[r][3], high);
                }
            }
        }
    }
};

constexpr Kernels kTable = Table<Loops>::named("neon");

}  // namespace

const Kernels* neon_kernels() { return &kTable; }

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* neon_kernels() { return nullptr; }
}  // namespace cvm

#endif
