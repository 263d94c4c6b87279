// AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned by 64 signed bytes and adds groups of four to int32 lanes.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)

#include <immintrin.h>

#include "kernels/common.inl"

namespace cvm {
namespace {

struct ToInt32 {
    int32_t* acc;
    inline void put(int row, int block, __m512i v) const {
        _mm512_storeu_si512(acc + row * kTileWidth + block * kLanes, v);
    }
};

struct ToU8 {
    const int32_t* multiplier;
    __m128i before;  // shift - 1
    __m512i one, lo, hi;
    uint8_t* const* out;
    bool shifted;

    ToU8(const Requantize& post, uint8_t* const* rows)
        : multiplier(post.multiplier), before(_mm_cvtsi32_si128(post.shift - 1)), one(_mm512_set1_epi32(1)),
          lo(_mm512_set1_epi32(post.lo)), hi(_mm512_set1_epi32(post.hi)), out(rows), shifted(post.shift > 0) {}

    inline __m512i value(int block, __m512i v) const {
        if (multiplier) v = _mm512_mullo_epi32(v, _mm512_loadu_si512(multiplier + block * kLanes));
        if (shifted) {
            const __m512i t = _mm512_sra_epi32(v, before);
            v = _mm512_add_epi32(_mm512_srai_epi32(t, 1), _mm512_and_si512(t, one));
        }
        return _mm512_min_epi32(_mm512_max_epi32(v, lo), hi);
    }
    inline void put(int row, int block, __m512i v) const {
        const __m128i bytes = _mm512_cvtepi32_epi8(value(block, v));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out[row] + block * kLanes), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
    }
};

inline __m512i broadcast4(const uint8_t* from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm512_set1_epi32(four);
}

// ROWS pixels by BLOCKS blocks of 16 channels, all in registers.
template <int ROWS, int BLOCKS, typename Out>
inline void conv_rows(const ConvTile& tile, int first, const Out& out) {
    __m512i acc[ROWS][BLOCKS];
#pragma GCC unroll 16
    for (int b = 0; b < BLOCKS; ++b) {
        const __m512i init = _mm512_loadu_si512(tile.init + b * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) acc[r][b] = init;
    }
    const int8_t* w = tile.weights;
    for (int t = 0; t < tile.taps; ++t) {
        const uint8_t* x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) x[r] = tile.pixels[first + r] + tile.tap_offsets[t];
        const int64_t end = int64_t(tile.steps) * 4;
        for (int64_t s = 0; s < end; s += 4, w += BLOCKS * 64) {
            __m512i k[BLOCKS];
#pragma GCC unroll 16
            for (int b = 0; b < BLOCKS; ++b) k[b] = _mm512_loadu_si512(w + b * 64);
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; ++r) {
                const __m512i v = broadcast4(x[r] + s);
#pragma GCC unroll 16
                for (int b = 0; b < BLOCKS; ++b) acc[r][b] = _mm512_dpbusd_epi32(acc[r][b], v, k[b]);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
        for (int b = 0; b < BLOCKS; ++b) out.put(first + r, b, acc[r][b]);
}

// Rows in registers at a time: 24 accumulators where the channels allow it.
constexpr int rows_at_a_time(int blocks) { return blocks == 4 ? 6 : blocks == 3 ? 8 : 12; }

template <int BLOCKS, typename Out>
void conv_blocks(const ConvTile& tile, const Out& out) {
    constexpr int kRows = rows_at_a_time(BLOCKS);
    int r = 0;
    for (; r + kRows <= tile.rows; r += kRows) conv_rows<kRows, BLOCKS>(tile, r, out);
    for (; r + 4 <= tile.rows; r += 4) conv_rows<4, BLOCKS>(tile, r, out);
    switch (tile.rows - r) {
        case 3: conv_rows<3, BLOCKS>(tile, r, out); break;
        case 2: conv_rows<2, BLOCKS>(tile, r, out); break;
        case 1: conv_rows<1, BLOCKS>(tile, r, out); break;
        default: break;
    }
}

template <typename Out>
inline void conv_any(const ConvTile& tile, const Out& out) {
    switch (tile.blocks) {
        case 4: conv_blocks<4>(tile, out); break;
        case 3: conv_blocks<3>(tile, out); break;
        case 2: conv_blocks<2>(tile, out); break;
        default: conv_blocks<1>(tile, out); break;
    }
}

void conv(const ConvTile& tile, int32_t* acc) { conv_any(tile, ToInt32{acc}); }

void conv_u8(const ConvTile& tile, const Requantize& post, uint8_t* const* out) { conv_any(tile, ToU8(post, out)); }

// One pixel of 64 channels: four taps are interleaved to quads of bytes, so that one vpdpbusd adds four taps of
// 16 channels. Interleaving works in 128-bit lanes: sums[i] holds channels 4 i .. 4 i + 3 of every 16.
inline void depthwise_row(const DepthwiseTile& tile, const uint8_t* x, __m512i sums[4]) {
    const __m512i zero = _mm512_setzero_si512();
    for (int i = 0; i < 4; ++i) sums[i] = zero;
    const int8_t* w = tile.weights;
    const int64_t* offsets = tile.tap_offsets;
    for (int q = 0; q < tile.quads; ++q, w += 256, offsets += 4) {
        const __m512i a = _mm512_loadu_si512(x + offsets[0]);
        const __m512i b = _mm512_loadu_si512(x + offsets[1]);
        const __m512i c = _mm512_loadu_si512(x + offsets[2]);
        const __m512i d = _mm512_loadu_si512(x + offsets[3]);
        const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
        const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);
        // Weights are stored channel after channel: [64][4]; the lanes that sums[i] needs are gathered by the
        // packer's order, see pack_depthwise.
        sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(ab_lo, cd_lo), _mm512_loadu_si512(w));
        sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(ab_lo, cd_lo), _mm512_loadu_si512(w + 64));
        sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(ab_hi, cd_hi), _mm512_loadu_si512(w + 128));
        sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(ab_hi, cd_hi), _mm512_loadu_si512(w + 192));
    }
    // A 4 x 4 transpose of 128-bit lanes brings the channels back into order.
    const __m512i t0 = _mm512_shuffle_i32x4(sums[0], sums[1], 0x44), t1 = _mm512_shuffle_i32x4(sums[0], sums[1], 0xEE);
    const __m512i t2 = _mm512_shuffle_i32x4(sums[2], sums[3], 0x44), t3 = _mm512_shuffle_i32x4(sums[2], sums[3], 0xEE);
    sums[0] = _mm512_shuffle_i32x4(t0, t2, 0x88);
    sums[1] = _mm512_shuffle_i32x4(t0, t2, 0xDD);
    sums[2] = _mm512_shuffle_i32x4(t1, t3, 0x88);
    sums[3] = _mm512_shuffle_i32x4(t1, t3, 0xDD);
}

template <typename Out>
inline void depthwise_any(const DepthwiseTile& tile, const Out& out) {
    for (int r = 0; r < tile.rows; ++r) {
        __m512i sums[4];
        depthwise_row(tile, tile.pixels[r], sums);
        for (int b = 0; b < tile.blocks; ++b)
            out.put(r, b, _mm512_add_epi32(sums[b], _mm512_loadu_si512(tile.init + b * kLanes)));
    }
}

void depthwise(const DepthwiseTile& tile, int32_t* acc) { depthwise_any(tile, ToInt32{acc}); }

void depthwise_u8(const DepthwiseTile& tile, const Requantize& post, uint8_t* const* out) {
    depthwise_any(tile, ToU8(post, out));
}

constexpr Kernels kTable = {"avx512", true, 128, conv, depthwise, conv_u8, depthwise_u8, run_program, run_max_pool, run_sum};

}  // namespace

const Kernels* avx512_kernels() {
    static const bool usable = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                               __builtin_cpu_supports("avx512vnni");
    return usable ? &kTable : nullptr;
}

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace cvm

#endif
