// Convolutions on 256-bit vectors, for a dot product given by the including file:
//   struct Dot { struct Bytes; static constexpr int kRows; static Bytes prepare(__m256i u8);
//                static __m256i add(__m256i acc, Bytes x, __m256i w); }

#include <immintrin.h>

#include "kernels/wide.inl"

#include "kernels/common.inl"

namespace cvm {
namespace {

struct ToInt32 {
    int32_t* acc;
    inline void put(int row, int block, __m256i lo, __m256i hi) const {
        int32_t* to = acc + row * kTileWidth + block * kLanes;
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), lo);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), hi);
    }
};

inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// An affine function of eight channels.
struct AffineVector {
    const Affine& post;
    __m128i shift;
    __m256i lo, hi;

    explicit AffineVector(const Affine& affine)
        : post(affine), shift(_mm_cvtsi32_si128(affine.shift)), lo(_mm256_set1_epi32(affine.lo)),
          hi(_mm256_set1_epi32(affine.hi)) {}

    inline __m256i operator()(int channel, __m256i v) const {
        if (post.multiplier) v = _mm256_mullo_epi32(v, load(post.multiplier + channel));
        if (post.addend) v = _mm256_add_epi32(v, load(post.addend + channel));
        return _mm256_min_epi32(_mm256_max_epi32(_mm256_sra_epi32(v, shift), lo), hi);
    }
};

inline __m256i words(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8); }

inline void store_u8(uint8_t* to, __m256i a, __m256i b) {
    const __m256i w = words(a, b);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
}

inline void store_i32(void* to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }

struct ToU8 {
    AffineVector affine;
    int64_t first;
    uint8_t* const* out;

    inline void put(int row, int block, __m256i a, __m256i b) const {
        const int channel = block * kLanes;
        store_u8(out[row] + first + channel, affine(channel, a), affine(channel + 8, b));
    }
};

struct ToJoint {
    AffineVector first, second;
    const Joint& post;
    const JointRows& rows;
    int64_t start;

    ToJoint(const Joint& joint, int64_t channel, const JointRows& to)
        : first(joint.first), second(joint.second), post(joint), rows(to), start(channel) {}

    static inline __m256i load_as_int32(const uint8_t* from, Store type, int64_t channel) {
        if (type == Store::I32) return load(from + 4 * channel);
        const __m128i* at = reinterpret_cast<const __m128i*>(from + store_bytes(type) * channel);
        if (type == Store::I16) return _mm256_cvtepi16_epi32(_mm_loadu_si128(at));
        return _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(at)), _mm256_set1_epi32(128));
    }

    inline void put(int row, int block, __m256i a, __m256i b) const {
        const int channel = block * kLanes;
        a = first(channel, a);
        b = first(channel + 8, b);
        if (rows.residual) {
            a = _mm256_add_epi32(a, load_as_int32(rows.residual[row], post.residual_type, start + channel));
            b = _mm256_add_epi32(b, load_as_int32(rows.residual[row], post.residual_type, start + channel + 8));
        }
        const __m256i lo = _mm256_set1_epi32(post.lo), hi = _mm256_set1_epi32(post.hi);
        a = _mm256_min_epi32(_mm256_max_epi32(a, lo), hi);
        b = _mm256_min_epi32(_mm256_max_epi32(b, lo), hi);
        if (rows.wide) {
            uint8_t* to = rows.wide[row] + (start + channel) * store_bytes(post.wide_type);
            if (post.wide_type == Store::I16) {
                store_i32(to, words(a, b));
            } else if (post.wide_type == Store::I32) {
                store_i32(to, a);
                store_i32(to + 32, b);
            } else {
                store_u8(to, a, b);
            }
        }
        if (rows.narrow) store_u8(rows.narrow[row] + start + channel, second(channel, a), second(channel + 8, b));
    }
};

inline __m256i broadcast4(const uint8_t* from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm256_set1_epi32(four);
}

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
                const Dot::Bytes v = Dot::prepare(broadcast4(x[r] + s));
                acc[r][0] = Dot::add(acc[r][0], v, lo);
                acc[r][1] = Dot::add(acc[r][1], v, hi);
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
        for (; r + Dot::kRows <= tile.rows; r += Dot::kRows) conv_rows<Dot::kRows>(tile, r, block, out);
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
    for (int q = 0; q < tile.quads; ++q, w += kTileWidth * 4, offsets += 4) {
        const __m256i a = load(x + offsets[0]), b = load(x + offsets[1]);
        const __m256i c = load(x + offsets[2]), d = load(x + offsets[3]);
        const __m256i ab_lo = _mm256_unpacklo_epi8(a, b), ab_hi = _mm256_unpackhi_epi8(a, b);
        const __m256i cd_lo = _mm256_unpacklo_epi8(c, d), cd_hi = _mm256_unpackhi_epi8(c, d);
        sums[0] = Dot::add(sums[0], Dot::prepare(_mm256_unpacklo_epi16(ab_lo, cd_lo)), depthwise_weights(w, 0));
        sums[1] = Dot::add(sums[1], Dot::prepare(_mm256_unpackhi_epi16(ab_lo, cd_lo)), depthwise_weights(w, 1));
        sums[2] = Dot::add(sums[2], Dot::prepare(_mm256_unpacklo_epi16(ab_hi, cd_hi)), depthwise_weights(w, 2));
        sums[3] = Dot::add(sums[3], Dot::prepare(_mm256_unpackhi_epi16(ab_hi, cd_hi)), depthwise_weights(w, 3));
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

}  // namespace
}  // namespace cvm
