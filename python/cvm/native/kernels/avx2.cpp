// AVX2 without dot-product instructions. vpmaddubsw multiplies unsigned by signed bytes and adds neighbouring products in
// int16, where it saturates. Convolutions take their input in an order in which no two neighbours reach that (plan/pairs.h);
// depthwise ones multiply in int16 and add in int32.
#ifdef __AVX2__

namespace cvm {
namespace {

constexpr int kLanes = 16, kMaxBlocks = 2;
constexpr int kTileRows = 32, kTileWidth = kLanes * kMaxBlocks;

}  // namespace
}  // namespace cvm

#include "kernels/ymm.inl"

namespace cvm {
namespace {

constexpr int kRows = 4;           // pixels whose sums are in registers at a time
constexpr int kMostBytes = 384;  // of a pixel's input at a time: those of a tile and their weights stay in the first cache
constexpr int kPitch = kMostBytes + 16;

// A part of a tile's input in the order of its weights.
struct Panel {
    uint8_t values[kTileRows * kPitch];
    int bytes;            // of each pixel
    const int8_t* weights;
    bool first, last;     // of the parts
};

// As many fetches as there is room for, from this one on; the one behind them.
inline const Fetch* fill(const ConvTile& tile, const Fetch* fetch, Panel& panel) {
    const Fetch* end = tile.fetches + tile.fetch_count;
    panel.bytes = 0;
    const auto offset = [&](const Fetch* of) { return tile.first_input + tile.tap_offsets[of->tap] + of->first; };
    while (fetch != end && panel.bytes + fetch->bytes <= kMostBytes) {
        const __m128i index = _mm_loadu_si128(reinterpret_cast<const __m128i*>(fetch->index));
        const int64_t from = offset(fetch);
        uint8_t* to = panel.values + panel.bytes;
        panel.bytes += fetch++->bytes;
        // Two at a time where the next continues this one.
        if (fetch != end && fetch[-1].bytes == 16 && panel.bytes + fetch->bytes <= kMostBytes && offset(fetch) == from + 16) {
            const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(index), _mm_loadu_si128(reinterpret_cast<const __m128i*>(fetch->index)), 1);
#pragma GCC unroll 4
            for (int r = 0; r < tile.rows; ++r, to += kPitch) store(to, _mm256_shuffle_epi8(load(tile.pixels[r] + from), both));
            panel.bytes += fetch++->bytes;
            continue;
        }
#pragma GCC unroll 4
        for (int r = 0; r < tile.rows; ++r, to += kPitch) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tile.pixels[r] + from));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(bytes, index));
        }
    }
    panel.last = fetch == end;
    return fetch;
}

template <int ROWS, typename Out>
inline void finish(const Out& out, int first, int block, const __m256i (&acc)[ROWS][2]) {
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) out.put(first + r, block, acc[r][0], acc[r][1]);
}

// An affine function of eight channels, up to the clip.
inline __m256i scaled(const AffineVector& affine, int channel, __m256i v) {
    if (affine.post.multiplier) v = _mm256_mullo_epi32(v, load(affine.post.multiplier + channel));
    if (affine.post.addend) v = _mm256_add_epi32(v, load(affine.post.addend + channel));
    return _mm256_sra_epi32(v, affine.shift);
}

// To U8, two pixels at a time; a single one twice. Packing works in 128-bit lanes, and a permutation puts channels back in order.
template <int ROWS>
inline void finish(const ToU8& out, int first, int block, const __m256i (&acc)[ROWS][2]) {
    const int channel = block * kLanes;
    const __m256i lo = _mm256_set1_epi8(char(out.affine.post.lo)), hi = _mm256_set1_epi8(char(out.affine.post.hi));
    const auto words = [&](int r) {
        return _mm256_packs_epi32(scaled(out.affine, channel, acc[r][0]), scaled(out.affine, channel + 8, acc[r][1]));
    };
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r += 2) {
        const int next = r + 1 < ROWS ? r + 1 : r;
        const __m256i packed = _mm256_packs_epi16(words(r), words(next));
        const __m256i both = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        const __m256i bytes = _mm256_xor_si256(_mm256_min_epi8(_mm256_max_epi8(both, lo), hi), _mm256_set1_epi8(-128));
        const int64_t at = out.first + channel;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out.out[first + r] + at), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out.out[first + next] + at), _mm256_extracti128_si256(bytes, 1));
    }
}

// ROWS pixels by one block of 16 channels. The sums of a part are in `sums` until the next.
template <int ROWS, typename Out>
inline void conv_rows(const ConvTile& tile, const Panel& panel, int first, int block, int32_t* sums, const Out& out) {
    __m256i acc[ROWS][2];
    int32_t* from = sums + first * kTileWidth + block * kLanes;
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        const int32_t* begin = panel.first ? tile.init + block * kLanes : from + r * kTileWidth;
        acc[r][0] = load(begin);
        acc[r][1] = load(begin + 8);
    }
    const __m256i ones = _mm256_set1_epi16(1);
    const int8_t* w = panel.weights + block * 64;
    const int64_t stride = tile.blocks * 64;
    const uint8_t* x = panel.values + first * kPitch;
    for (const uint8_t* end = x + panel.bytes; x != end; x += 4, w += stride) {
        const __m256i lo = load(w), hi = load(w + 32);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const __m256i v = broadcast4(x + r * kPitch);
            acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(_mm256_maddubs_epi16(v, lo), ones));
            acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(_mm256_maddubs_epi16(v, hi), ones));
        }
    }
    if (panel.last) {
        finish(out, first, block, acc);
        return;
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        store(from + r * kTileWidth, acc[r][0]);
        store(from + r * kTileWidth + 8, acc[r][1]);
    }
}

template <typename Out>
inline void conv_any(const ConvTile& tile, const Out& out) {
    Panel panel;
    alignas(32) int32_t sums[kTileRows * kTileWidth];
    panel.weights = tile.weights;
    panel.first = true;
    const Fetch* fetch = tile.fetches;
    do {
        fetch = fill(tile, fetch, panel);
        for (int block = 0; block < tile.blocks; ++block) {
            int r = 0;
            for (; r + kRows <= tile.rows; r += kRows) conv_rows<kRows>(tile, panel, r, block, sums, out);
            for (; r < tile.rows; ++r) conv_rows<1>(tile, panel, r, block, sums, out);
        }
        panel.weights += int64_t(panel.bytes) * tile.blocks * kLanes;
        panel.first = false;
    } while (!panel.last);
}

void conv(const ConvTile& tile, int32_t* acc) { conv_any(tile, ToInt32{acc}); }

void conv_u8(const ConvTile& tile, const Affine& post, uint8_t* const* out) {
    conv_any(tile, ToU8{AffineVector(post), tile.channel, out});
}

void conv_joint(const ConvTile& tile, const Joint& post, const JointRows& rows) { conv_any(tile, ToJoint(post, tile.channel, rows)); }

// Values of 32 channels, of which `blocks` times 16 exist, in the order of the sums below.
struct Interleaved {
    __m256i v[4];

    Interleaved(const int32_t* from, int blocks, int32_t otherwise) {
        for (int i = 0; i < 4; ++i) {
            if (!from) {
                v[i] = _mm256_set1_epi32(otherwise);
                continue;
            }
            const __m128i lo = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 4 * i));
            const __m128i hi = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + (blocks - 1) * kLanes + 4 * i));
            v[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
        }
    }
};

// 32 channels of one pixel: two taps are interleaved to pairs of int16, lane by lane; sums[i] holds channels 4 i .. 4 i + 3
// of both blocks.
inline void depthwise_row(const DepthwiseTile& tile, const uint8_t* x, __m256i sums[4]) {
    const __m256i zero = _mm256_setzero_si256();
    const int8_t* w = tile.weights;
    const int64_t* offsets = tile.tap_offsets;
    for (int p = 0; p < tile.steps; ++p, w += kTileWidth * 4, offsets += 2) {
        const __m256i a = load(x + offsets[0]), b = load(x + offsets[1]);
        const __m256i lo = _mm256_unpacklo_epi8(a, b), hi = _mm256_unpackhi_epi8(a, b);
        sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(lo, zero), load(w)));
        sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(lo, zero), load(w + 32)));
        sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(hi, zero), load(w + 64)));
        sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(hi, zero), load(w + 96)));
    }
}

void depthwise(const DepthwiseTile& tile, int32_t* acc) {
    const Interleaved init(tile.init, tile.blocks, 0);
    const ToInt32 out{acc};
    for (int r = 0; r < tile.rows; ++r) {
        __m256i v[4] = {init.v[0], init.v[1], init.v[2], init.v[3]};
        depthwise_row(tile, tile.pixels[r] + tile.channel, v);
        out.put(r, 0, _mm256_permute2x128_si256(v[0], v[1], 0x20), _mm256_permute2x128_si256(v[2], v[3], 0x20));
        if (tile.blocks == 2)
            out.put(r, 1, _mm256_permute2x128_si256(v[0], v[1], 0x31), _mm256_permute2x128_si256(v[2], v[3], 0x31));
    }
}

void depthwise_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
    const Interleaved init(tile.init, tile.blocks, 0), multiplier(post.multiplier, tile.blocks, 1), addend(post.addend, tile.blocks, 0);
    const __m128i shift = _mm_cvtsi32_si128(post.shift);
    const __m256i lo = _mm256_set1_epi8(char(post.lo)), hi = _mm256_set1_epi8(char(post.hi)), bias = _mm256_set1_epi8(-128);
    for (int r = 0; r < tile.rows; ++r) {
        __m256i v[4] = {init.v[0], init.v[1], init.v[2], init.v[3]};
        depthwise_row(tile, tile.pixels[r] + tile.channel, v);
        for (int i = 0; i < 4; ++i)
            v[i] = _mm256_sra_epi32(_mm256_add_epi32(_mm256_mullo_epi32(v[i], multiplier.v[i]), addend.v[i]), shift);
        // Packing undoes the interleaving.
        const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
        const __m256i bytes = _mm256_xor_si256(_mm256_min_epi8(_mm256_max_epi8(packed, lo), hi), bias);
        uint8_t* to = out[r] + tile.channel;
        if (tile.blocks == 2) store(to, bytes);
        else _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(bytes));
    }
}

// As run_max_pool, for whose comparison of unsigned bytes compilers do not find the instruction.
void max_pool(const uint8_t* const* pointers, int count, int64_t channels, Store type, uint8_t* out) {
    if (type != Store::U8) return run_max_pool(pointers, count, channels, type, out);
    int64_t at = 0;
    for (; at + 32 <= channels; at += 32) {
        __m256i best = load(pointers[0] + at);
        for (int i = 1; i < count; ++i) best = _mm256_max_epu8(best, load(pointers[i] + at));
        store(out + at, best);
    }
    for (; at < channels; at += 16) {
        const auto load16 = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(pointers[i] + at)); };
        __m128i best = load16(0);
        for (int i = 1; i < count; ++i) best = _mm_max_epu8(best, load16(i));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + at), best);
    }
}

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 2, 128, true, true};
constexpr Kernels kTable = {"avx2", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program, run_blend,
                             max_pool, run_channel_max, run_sum, run_interleave3};

}  // namespace

const Kernels* avx2_kernels() { return __builtin_cpu_supports("avx2") ? &kTable : nullptr; }

}  // namespace cvm

#else

#include "kernels/kernels.h"

namespace cvm {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace cvm

#endif
