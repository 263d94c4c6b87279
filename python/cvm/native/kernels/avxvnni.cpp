// AVX2 with the 256-bit form of vpdpbusd.
#ifdef __AVXVNNI__

#include <cpuid.h>

#include "kernels/wide.inl"

#include "kernels/ymm.inl"

namespace cvm {
namespace {

constexpr int kRows = 6;  // pixels whose sums are in registers at a time

// ROWS pixels by one block of 16 channels.
template <int ROWS, typename Out>
inline void conv_rows(const ConvTile& tile, int first, int block, const Out& out) {
    __m256i acc[ROWS][2];
    const __m256i init_lo = load(tile.init + block * kLanes), init_hi = load(tile.init + block * kLanes + 8);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        acc[r][0] = init_lo;
        acc[r][1] = init_hi;
    }
    const int8_t* w = tile.weights + block * 64;
    const int64_t stride = tile.blocks * 64;
    for (int t = 0; t < tile.taps; ++t) {
        const uint8_t* x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) x[r] = tile.pixels[first + r] + tile.first_input + tile.tap_offsets[t];
        const int64_t end = int64_t(tile.steps) * 4;
        for (int64_t s = 0; s < end; s += 4, w += stride) {
            const __m256i lo = load(w), hi = load(w + 32);
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; ++r) {
                const __m256i v = broadcast4(x[r] + s);
                acc[r][0] = _mm256_dpbusd_avx_epi32(acc[r][0], v, lo);
                acc[r][1] = _mm256_dpbusd_avx_epi32(acc[r][1], v, hi);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) out.put(first + r, block, acc[r][0], acc[r][1]);
}

template <typename Out>
inline void conv_any(const ConvTile& tile, const Out& out) {
    for (int block = 0; block < tile.blocks; ++block) {
        int r = 0;
        for (; r + kRows <= tile.rows; r += kRows) conv_rows<kRows>(tile, r, block, out);
        for (; r + 2 <= tile.rows; r += 2) conv_rows<2>(tile, r, block, out);
        if (r < tile.rows) conv_rows<1>(tile, r, block, out);
    }
}

void conv(const ConvTile& tile, int32_t* acc) { conv_any(tile, ToInt32{acc}); }

void conv_u8(const ConvTile& tile, const Affine& post, uint8_t* const* out) {
    conv_any(tile, ToU8{AffineVector(post), tile.channel, out});
}

void conv_joint(const ConvTile& tile, const Joint& post, const JointRows& rows) { conv_any(tile, ToJoint(post, tile.channel, rows)); }

// Channels 4 i .. 4 i + 3 of two neighbouring blocks of 16, four weights each.
inline __m256i depthwise_weights(const int8_t* w, int i) {
    const __m128i lo = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + i * 16));
    const __m128i hi = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 64 + i * 16));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

// 32 channels of one pixel; four taps are interleaved to quads of bytes, lane by lane: sums[i] holds channels
// 4 i .. 4 i + 3 of both blocks.
template <typename Out>
inline void depthwise_pair(const DepthwiseTile& tile, int row, int block, const Out& out) {
    __m256i sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = _mm256_setzero_si256();
    const uint8_t* x = tile.pixels[row] + tile.channel + block * kLanes;
    const int8_t* w = tile.weights + block * kLanes * 4;
    const int64_t* offsets = tile.tap_offsets;
    for (int q = 0; q < tile.steps; ++q, w += kTileWidth * 4, offsets += 4) {
        const __m256i a = load(x + offsets[0]), b = load(x + offsets[1]);
        const __m256i c = load(x + offsets[2]), d = load(x + offsets[3]);
        const __m256i ab_lo = _mm256_unpacklo_epi8(a, b), ab_hi = _mm256_unpackhi_epi8(a, b);
        const __m256i cd_lo = _mm256_unpacklo_epi8(c, d), cd_hi = _mm256_unpackhi_epi8(c, d);
        sums[0] = _mm256_dpbusd_avx_epi32(sums[0], _mm256_unpacklo_epi16(ab_lo, cd_lo), depthwise_weights(w, 0));
        sums[1] = _mm256_dpbusd_avx_epi32(sums[1], _mm256_unpackhi_epi16(ab_lo, cd_lo), depthwise_weights(w, 1));
        sums[2] = _mm256_dpbusd_avx_epi32(sums[2], _mm256_unpacklo_epi16(ab_hi, cd_hi), depthwise_weights(w, 2));
        sums[3] = _mm256_dpbusd_avx_epi32(sums[3], _mm256_unpackhi_epi16(ab_hi, cd_hi), depthwise_weights(w, 3));
    }
    const int32_t* init = tile.init + block * kLanes;
    out.put(row, block, _mm256_add_epi32(_mm256_permute2x128_si256(sums[0], sums[1], 0x20), load(init)),
            _mm256_add_epi32(_mm256_permute2x128_si256(sums[2], sums[3], 0x20), load(init + 8)));
    if (block + 1 < tile.blocks)
        out.put(row, block + 1, _mm256_add_epi32(_mm256_permute2x128_si256(sums[0], sums[1], 0x31), load(init + 16)),
                _mm256_add_epi32(_mm256_permute2x128_si256(sums[2], sums[3], 0x31), load(init + 24)));
}

template <typename Out>
inline void depthwise_any(const DepthwiseTile& tile, const Out& out) {
    for (int r = 0; r < tile.rows; ++r)
        for (int block = 0; block < tile.blocks; block += 2) depthwise_pair(tile, r, block, out);
}

void depthwise(const DepthwiseTile& tile, int32_t* acc) { depthwise_any(tile, ToInt32{acc}); }

void depthwise_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
    depthwise_any(tile, ToU8{AffineVector(post), tile.channel, out});
}

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 4, 128, false, false};
constexpr Kernels kTable = {"avxvnni", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program, run_blend,
                             run_max_pool, run_channel_max, run_sum, run_interleave3};

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
