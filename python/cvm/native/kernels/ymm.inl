// Endings on 256-bit vectors: sums of 16 channels of a pixel as two vectors of eight. The including file first defines kLanes,
// kTileRows and kTileWidth.

#include <immintrin.h>

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

inline void store(void* to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }

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
                store(to, words(a, b));
            } else if (post.wide_type == Store::I32) {
                store(to, a);
                store(to + 32, b);
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

}  // namespace
}  // namespace cvm
