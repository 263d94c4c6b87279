// AVX-512 with VNNI: vpdpbusd multiplies 64 unsigned by 64 signed bytes and adds groups of four to int32 lanes.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)

#include <immintrin.h>

#include "kernels/wide.inl"

#include "kernels/common.inl"

namespace cvm {
namespace {

struct ToInt32 {
    int32_t* acc;
    template <int BLOCKS>
    inline void fetch(int) const {}
    template <int BLOCKS>
    inline void put(int row, const __m512i* v) const {
        for (int b = 0; b < BLOCKS; ++b) _mm512_storeu_si512(acc + row * kTileWidth + b * kLanes, v[b]);
    }
};

// An affine function of sixteen channels, up to the clip.
struct AffineVector {
    Affine post;
    __m128i shift;

    explicit AffineVector(const Affine& affine) : post(affine), shift(_mm_cvtsi32_si128(affine.shift)) {}

    inline __m512i operator()(int channel, __m512i v) const {
        if (post.multiplier) v = _mm512_mullo_epi32(v, _mm512_loadu_si512(post.multiplier + channel));
        if (post.addend) v = _mm512_add_epi32(v, _mm512_loadu_si512(post.addend + channel));
        return _mm512_sra_epi32(v, shift);
    }
    // The same where there are both multiplier and addend, without a branch.
    inline __m512i whole(int channel, __m512i v) const {
        v = _mm512_mullo_epi32(v, _mm512_loadu_si512(post.multiplier + channel));
        return _mm512_sra_epi32(_mm512_add_epi32(v, _mm512_loadu_si512(post.addend + channel)), shift);
    }
};

// Four vectors of int32 to 64 bytes, clipped and biased. Packing works in 128-bit lanes, so that dword 4 i + b of the
// packed bytes holds channels 4 i .. 4 i + 3 of vector b; `order` undoes that.
struct Narrow {
    __m512i lo, hi;

    explicit Narrow(const Affine& affine)
        : lo(_mm512_set1_epi8(char(affine.lo))), hi(_mm512_set1_epi8(char(affine.hi))) {}

    inline __m512i clip(__m512i bytes) const {
        return _mm512_xor_si512(_mm512_min_epi8(_mm512_max_epi8(bytes, lo), hi), _mm512_set1_epi8(-128));
    }
    inline __m512i pack(__m512i a, __m512i b, __m512i c, __m512i d) const {
        return clip(_mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
    }
    static inline __m512i order() {
        return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    }
    // BLOCKS vectors of 16 channels.
    template <int BLOCKS>
    inline void store(uint8_t* to, const __m512i* v) const {
        if (BLOCKS == 4) {
            _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order(), pack(v[0], v[1], v[2], v[BLOCKS - 1])));
            return;
        }
        for (int b = 0; b < BLOCKS; ++b) {
            const __m128i bytes = _mm_max_epi8(_mm512_cvtsepi32_epi8(v[b]), _mm512_castsi512_si128(lo));
            const __m128i clipped = _mm_min_epi8(bytes, _mm512_castsi512_si128(hi));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(to + b * kLanes), _mm_xor_si128(clipped, _mm_set1_epi8(-128)));
        }
    }
};

struct ToU8 {
    AffineVector affine;
    Narrow narrow;
    int64_t first;
    uint8_t* const* out;

    ToU8(const Affine& post, int64_t channel, uint8_t* const* rows) : affine(post), narrow(post), first(channel), out(rows) {}

    template <int BLOCKS>
    inline void fetch(int) const {}

    template <int BLOCKS>
    inline void put(int row, const __m512i* acc) const {
        __m512i v[BLOCKS];
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b) v[b] = affine(b * kLanes, acc[b]);
        narrow.store<BLOCKS>(out[row] + first, v);
    }
};

struct ToJoint {
    AffineVector first, second;
    Narrow narrow;
    Joint post;
    JointRows rows;
    int64_t start;
    __m512i first_lo, first_hi, lo, hi;

    ToJoint(const Joint& joint, int64_t channel, const JointRows& to)
        : first(joint.first), second(joint.second), narrow(joint.second), post(joint), rows(to), start(channel),
          first_lo(_mm512_set1_epi32(joint.first.lo)), first_hi(_mm512_set1_epi32(joint.first.hi)),
          lo(_mm512_set1_epi32(joint.lo)), hi(_mm512_set1_epi32(joint.hi)) {}

    static inline __m512i load_as_int32(const uint8_t* from, Store type, int64_t channel) {
        if (type == Store::I32) return _mm512_loadu_si512(from + 4 * channel);
        if (type == Store::I16)
            return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * channel)));
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + channel));
        return _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(128));
    }

    template <int BLOCKS>
    inline void fetch(int) const {}

    template <int BLOCKS>
    inline void put(int row, const __m512i* acc) const {
        __m512i v[BLOCKS];
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b) {
            const int channel = b * kLanes;
            v[b] = _mm512_min_epi32(_mm512_max_epi32(first(channel, acc[b]), first_lo), first_hi);
            if (rows.residual) v[b] = _mm512_add_epi32(v[b], load_as_int32(rows.residual[row], post.residual_type, start + channel));
            v[b] = _mm512_min_epi32(_mm512_max_epi32(v[b], lo), hi);
            if (rows.wide) {
                uint8_t* to = rows.wide[row] + (start + channel) * store_bytes(post.wide_type);
                if (post.wide_type == Store::I16) {
                    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(v[b]));
                } else if (post.wide_type == Store::I32) {
                    _mm512_storeu_si512(to, v[b]);
                } else {
                    const __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(v[b]), _mm_set1_epi8(-128));
                    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
                }
            }
        }
        if (!rows.narrow) return;
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b) v[b] = second(b * kLanes, v[b]);
        narrow.store<BLOCKS>(rows.narrow[row] + start, v);
    }
};

// The end of a residual block on 32 int16 at a time, saturated, for a known set of tensors. Rounding multiplications take the
// place of `second` where ROUNDED.
template <bool RESIDUAL, bool WIDE, bool NARROW, bool ROUNDED>
struct ToWords {
    AffineVector first, second;
    JointRows rows;
    int64_t start;
    Narrow narrow;
    __m512i first_lo, lo, multiplier, offset;

    ToWords(const Joint& joint, int64_t channel, const JointRows& to)
        : first(joint.first), second(joint.second), rows(to), start(channel), narrow(joint.second), first_lo(word(joint.first.lo)), lo(word(joint.lo)),
          multiplier(word(joint.words.multiplier)), offset(word(joint.words.offset)) {}

    static bool fits(const ConvTile& tile, const Joint& post, const JointRows& rows) {
        return post.words.enough && post.first.hi >= INT16_MAX && post.hi >= INT16_MAX && tile.blocks == kMaxBlocks &&
               post.first.multiplier && post.first.addend && RESIDUAL == bool(rows.residual) && WIDE == bool(rows.wide) && NARROW == bool(rows.narrow) &&
               (!NARROW || (ROUNDED ? post.words.multiplier != 0 : post.second.multiplier && post.second.addend));
    }

    template <int BLOCKS>
    inline void fetch(int row) const {
        if (RESIDUAL) {
            _mm_prefetch(reinterpret_cast<const char*>(rows.residual[row] + 2 * start), _MM_HINT_T0);
            _mm_prefetch(reinterpret_cast<const char*>(rows.residual[row] + 2 * start + 64), _MM_HINT_T0);
        }
        if (WIDE && !RESIDUAL) {
            __builtin_prefetch(rows.wide[row] + 2 * start, 1);
            __builtin_prefetch(rows.wide[row] + 2 * start + 64, 1);
        }
        if (NARROW) __builtin_prefetch(rows.narrow[row] + start, 1);
    }

    static inline __m512i word(int32_t value) {
        return _mm512_set1_epi16(int16_t(value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value));
    }
    // Packing works in 128-bit lanes; this puts channels back in order.
    static inline __m512i in_order(__m512i v) {
        return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
    }

    template <int BLOCKS>
    __attribute__((always_inline)) void put(int row, const __m512i* acc) const {
        __m512i v[BLOCKS / 2];
#pragma GCC unroll 2
        for (int b = 0; b < BLOCKS / 2; ++b) {
            const int channel = b * 2 * kLanes;
            v[b] = in_order(_mm512_packs_epi32(first.whole(channel, acc[2 * b]), first.whole(channel + kLanes, acc[2 * b + 1])));
            v[b] = _mm512_max_epi16(v[b], first_lo);
            if (RESIDUAL) {
                v[b] = _mm512_adds_epi16(v[b], _mm512_loadu_si512(rows.residual[row] + 2 * (start + channel)));
                v[b] = _mm512_max_epi16(v[b], lo);
            }
            if (WIDE) _mm512_storeu_si512(rows.wide[row] + 2 * (start + channel), v[b]);
        }
        if (!NARROW) return;
        if (ROUNDED) {
#pragma GCC unroll 2
            for (int b = 0; b < BLOCKS / 2; ++b) v[b] = _mm512_adds_epi16(_mm512_mulhrs_epi16(v[b], multiplier), offset);
            const __m512i bytes = narrow.clip(_mm512_packs_epi16(v[0], v[BLOCKS / 2 - 1]));
            _mm512_storeu_si512(rows.narrow[row] + start, in_order(bytes));
        } else {
            __m512i wide[BLOCKS];
#pragma GCC unroll 4
            for (int b = 0; b < BLOCKS; ++b)
                wide[b] = second.whole(b * kLanes, _mm512_cvtepi16_epi32(b % 2 ? _mm512_extracti64x4_epi64(v[b / 2], 1) : _mm512_castsi512_si256(v[b / 2])));
            narrow.store<BLOCKS>(rows.narrow[row] + start, wide);
        }
    }
};

// A shift alone before the requantization to U8: what a layer has whose sums leave no room for the multiplication.
struct ToShifted {
    AffineVector first, second;
    Narrow narrow;
    int64_t start;
    uint8_t* const* out;
    __m512i lo, hi;

    ToShifted(const Joint& joint, int64_t channel, const JointRows& rows)
        : first(joint.first), second(joint.second), narrow(joint.second), start(channel), out(rows.narrow),
          lo(_mm512_set1_epi32(joint.first.lo)), hi(_mm512_set1_epi32(joint.first.hi)) {}

    static bool fits(const ConvTile& tile, const Joint& post, const JointRows& rows) {
        return tile.blocks == kMaxBlocks && !rows.residual && !rows.wide && !post.first.multiplier && post.first.addend &&
               post.second.multiplier && post.second.addend;
    }

    template <int BLOCKS>
    inline void fetch(int) const {}

    template <int BLOCKS>
    __attribute__((always_inline)) void put(int row, const __m512i* acc) const {
        __m512i v[BLOCKS];
#pragma GCC unroll 4
        for (int b = 0; b < BLOCKS; ++b) {
            const int channel = b * kLanes;
            v[b] = _mm512_sra_epi32(_mm512_add_epi32(acc[b], _mm512_loadu_si512(first.post.addend + channel)), first.shift);
            v[b] = second.whole(channel, _mm512_min_epi32(_mm512_max_epi32(v[b], lo), hi));
        }
        narrow.store<BLOCKS>(out[row] + start, v);
    }
};

inline __m512i broadcast4(const uint8_t* from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm512_set1_epi32(four);
}

// ROWS pixels by BLOCKS blocks of 16 channels, all in registers.
template <int ROWS, int BLOCKS, typename Out>
__attribute__((noinline)) void conv_rows(const ConvTile& tile, int first, const Out& out) {
    __m512i acc[ROWS][BLOCKS];
#pragma GCC unroll 16
    for (int b = 0; b < BLOCKS; ++b) {
        const __m512i init = _mm512_loadu_si512(tile.init + b * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) acc[r][b] = init;
    }
    for (int r = 0; r < ROWS; ++r) out.template fetch<BLOCKS>(first + r);
    const int8_t* w = tile.weights;
    // A tile of 24 rows fetches as many bytes as it reads: a cache line a step in each of four turns.
    const int8_t* ahead = tile.ahead + int64_t(first / ROWS) * tile.taps * tile.steps * 64;
    for (int t = 0; t < tile.taps; ++t) {
        const uint8_t* x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) x[r] = tile.pixels[first + r] + tile.first_input + tile.tap_offsets[t] + int64_t(tile.steps) * 4;
        for (int64_t s = -int64_t(tile.steps) * 4; s; s += 4, w += BLOCKS * 64, ahead += 64) {
            if (ROWS * BLOCKS == 24) _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
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
    // What the ending needs is read from memory only now: in registers, it would push out accumulators of the loop.
    // A copy, as no store of the rows can change that.
    const Out* there = &out;
    asm("" : "+r"(there));
    const Out ending = *there;
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) ending.template put<BLOCKS>(first + r, acc[r]);
}

// Rows in registers at a time: 24 accumulators where the channels allow it.
constexpr int rows_at_a_time(int blocks) { return blocks == 4 ? 6 : blocks == 3 ? 8 : 12; }

template <int BLOCKS, typename Out>
void conv_blocks(const ConvTile& tile, const Out& out, int r = 0) {
    constexpr int kRows = rows_at_a_time(BLOCKS);
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
inline void conv_any(const ConvTile& tile, const Out& out, int done = 0) {
    switch (tile.blocks) {
        case 4: conv_blocks<4>(tile, out, done); break;
        case 3: conv_blocks<3>(tile, out); break;
        case 2: conv_blocks<2>(tile, out); break;
        default: conv_blocks<1>(tile, out); break;
    }
}

void conv(const ConvTile& tile, int32_t* acc) { conv_any(tile, ToInt32{acc}); }

void conv_u8(const ConvTile& tile, const Affine& post, uint8_t* const* out) { conv_any(tile, ToU8(post, tile.channel, out)); }

// As many whole groups of rows as there are, if the ending has this form; how many rows that was.
template <typename Out>
int conv_groups(const ConvTile& tile, const Joint& post, const JointRows& rows) {
    if (!Out::fits(tile, post, rows)) return 0;
    constexpr int kRows = rows_at_a_time(kMaxBlocks);
    const Out out(post, tile.channel, rows);
    int r = 0;
    for (; r + kRows <= tile.rows; r += kRows) conv_rows<kRows, kMaxBlocks>(tile, r, out);
    return r;
}

void conv_joint(const ConvTile& tile, const Joint& post, const JointRows& rows) {
    int done = conv_groups<ToWords<true, true, true, true>>(tile, post, rows);
    if (!done) done = conv_groups<ToWords<true, true, true, false>>(tile, post, rows);
    if (!done) done = conv_groups<ToWords<true, false, true, true>>(tile, post, rows);
    if (!done) done = conv_groups<ToWords<true, false, true, false>>(tile, post, rows);
    if (!done) done = conv_groups<ToWords<false, true, false, false>>(tile, post, rows);
    if (!done) done = conv_groups<ToShifted>(tile, post, rows);
    conv_any(tile, ToJoint(post, tile.channel, rows), done);
}

// A 4 x 4 transpose of the 128-bit lanes of four vectors.
inline void transpose_lanes(__m512i v[4]) {
    const __m512i t0 = _mm512_shuffle_i32x4(v[0], v[1], 0x44), t1 = _mm512_shuffle_i32x4(v[0], v[1], 0xEE);
    const __m512i t2 = _mm512_shuffle_i32x4(v[2], v[3], 0x44), t3 = _mm512_shuffle_i32x4(v[2], v[3], 0xEE);
    v[0] = _mm512_shuffle_i32x4(t0, t2, 0x88);
    v[1] = _mm512_shuffle_i32x4(t0, t2, 0xDD);
    v[2] = _mm512_shuffle_i32x4(t1, t3, 0x88);
    v[3] = _mm512_shuffle_i32x4(t1, t3, 0xDD);
}

// One pixel of 64 channels: four taps are interleaved to quads of bytes, so that one vpdpbusd adds four taps of
// 16 channels. Interleaving works in 128-bit lanes: sums[i] holds channels 4 i .. 4 i + 3 of every 16, and the
// weights are packed in that order. QUADS = 0: any number.
template <int QUADS>
inline void depthwise_row(const DepthwiseTile& tile, const uint8_t* x, __m512i sums[4]) {
    const int quads = QUADS ? QUADS : tile.steps;
    const int8_t* w = tile.weights;
    const int64_t* offsets = tile.tap_offsets;
#pragma GCC unroll 3
    for (int q = 0; q < quads; ++q, w += 256, offsets += 4) {
        const __m512i a = _mm512_loadu_si512(x + offsets[0]);
        const __m512i b = _mm512_loadu_si512(x + offsets[1]);
        const __m512i c = _mm512_loadu_si512(x + offsets[2]);
        const __m512i d = _mm512_loadu_si512(x + offsets[3]);
        const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
        const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);
        sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(ab_lo, cd_lo), _mm512_loadu_si512(w));
        sums[1] = _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(ab_lo, cd_lo), _mm512_loadu_si512(w + 64));
        sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(ab_hi, cd_hi), _mm512_loadu_si512(w + 128));
        sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(ab_hi, cd_hi), _mm512_loadu_si512(w + 192));
    }
}

// Values of 64 channels, of which `blocks` times 16 exist, in the order of the sums.
inline void load_interleaved(const int32_t* from, int blocks, __m512i v[4]) {
    for (int b = 0; b < 4; ++b) v[b] = b < blocks ? _mm512_loadu_si512(from + b * kLanes) : _mm512_setzero_si512();
    transpose_lanes(v);
}

void depthwise(const DepthwiseTile& tile, int32_t* acc) {
    __m512i init[4];
    load_interleaved(tile.init, tile.blocks, init);
    for (int r = 0; r < tile.rows; ++r) {
        __m512i sums[4] = {init[0], init[1], init[2], init[3]};
        depthwise_row<0>(tile, tile.pixels[r] + tile.channel, sums);
        transpose_lanes(sums);
        for (int b = 0; b < tile.blocks; ++b) _mm512_storeu_si512(acc + r * kTileWidth + b * kLanes, sums[b]);
    }
}

template <int QUADS>
void depthwise_rows_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
    __m512i init[4], multiplier[4], addend[4];
    load_interleaved(tile.init, tile.blocks, init);
    for (int i = 0; i < 4; ++i) {
        multiplier[i] = _mm512_set1_epi32(1);
        addend[i] = _mm512_setzero_si512();
    }
    if (post.multiplier) load_interleaved(post.multiplier, tile.blocks, multiplier);
    if (post.addend) load_interleaved(post.addend, tile.blocks, addend);
    const __m128i shift = _mm_cvtsi32_si128(post.shift);
    const Narrow narrow(post);
    const __mmask64 mask = tile.blocks == 4 ? ~__mmask64(0) : (__mmask64(1) << (tile.blocks * kLanes)) - 1;
    for (int r = 0; r < tile.rows; ++r) {
        __m512i v[4] = {init[0], init[1], init[2], init[3]};
        depthwise_row<QUADS>(tile, tile.pixels[r] + tile.channel, v);
        for (int i = 0; i < 4; ++i)
            v[i] = _mm512_sra_epi32(_mm512_add_epi32(_mm512_mullo_epi32(v[i], multiplier[i]), addend[i]), shift);
        // Packing undoes the interleaving.
        _mm512_mask_storeu_epi8(out[r] + tile.channel, mask, narrow.pack(v[0], v[1], v[2], v[3]));
    }
}

void depthwise_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
    if (tile.steps == 3) depthwise_rows_u8<3>(tile, post, out);
    else depthwise_rows_u8<0>(tile, post, out);
}

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 4, 128, true, false};
constexpr Kernels kTable = {"avx512", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program, run_blend,
                             run_max_pool, run_channel_max, run_sum, run_interleave3};

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
