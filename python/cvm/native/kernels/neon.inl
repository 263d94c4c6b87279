// Convolutions on 128-bit vectors of NEON, for inner loops given by the including file:
//   struct Loops {
//       static constexpr int kDepth, kOffset;           // as in Tile
//       static constexpr int kRows, kDepthwiseRows;     // pixels whose sums are in registers at a time
//       // Sums of ROWS pixels from `first` on for a block of 16 channels, init included.
//       template <int ROWS> static void conv(const ConvTile&, int first, int block, int32x4_t (&acc)[ROWS][4]);
//       template <int ROWS> static void depthwise(const DepthwiseTile&, int first, int block, int32x4_t (&acc)[ROWS][4]);
//   };
#include <arm_neon.h>

#include "kernels/wide.inl"

#include "kernels/common.inl"

namespace cvm {
namespace {

// What a biased byte is worth: the signed operand of instructions that take two of them.
inline int8x16_t unbiased(const uint8_t* from) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(from), vdupq_n_u8(128)));
}

inline int8x16_t broadcast4(const uint8_t* from) {
    int32_t four;
    __builtin_memcpy(&four, from, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// Four taps of 16 channels as quads of bytes: v[i] holds channels 4 i .. 4 i + 3.
inline void interleave4(const uint8_t* x, const int64_t* offsets, uint8x16_t (&v)[4]) {
    const uint8x16_t a = vld1q_u8(x + offsets[0]), b = vld1q_u8(x + offsets[1]);
    const uint8x16_t c = vld1q_u8(x + offsets[2]), d = vld1q_u8(x + offsets[3]);
    const uint16x8_t ab_lo = vreinterpretq_u16_u8(vzip1q_u8(a, b)), ab_hi = vreinterpretq_u16_u8(vzip2q_u8(a, b));
    const uint16x8_t cd_lo = vreinterpretq_u16_u8(vzip1q_u8(c, d)), cd_hi = vreinterpretq_u16_u8(vzip2q_u8(c, d));
    v[0] = vreinterpretq_u8_u16(vzip1q_u16(ab_lo, cd_lo));
    v[1] = vreinterpretq_u8_u16(vzip2q_u16(ab_lo, cd_lo));
    v[2] = vreinterpretq_u8_u16(vzip1q_u16(ab_hi, cd_hi));
    v[3] = vreinterpretq_u8_u16(vzip2q_u16(ab_hi, cd_hi));
}

// An affine function of four channels.
struct AffineVector {
    const Affine& post;
    int32x4_t shift, lo, hi;

    explicit AffineVector(const Affine& affine)
        : post(affine), shift(vdupq_n_s32(-affine.shift)), lo(vdupq_n_s32(affine.lo)), hi(vdupq_n_s32(affine.hi)) {}

    inline int32x4_t operator()(int channel, int32x4_t v) const {
        if (post.multiplier) v = vmulq_s32(v, vld1q_s32(post.multiplier + channel));
        if (post.addend) v = vaddq_s32(v, vld1q_s32(post.addend + channel));
        return vminq_s32(vmaxq_s32(vshlq_s32(v, shift), lo), hi);
    }
};

inline void store_u8(uint8_t* to, const int32x4_t (&v)[4]) {
    const int16x8_t a = vcombine_s16(vqmovn_s32(v[0]), vqmovn_s32(v[1])), b = vcombine_s16(vqmovn_s32(v[2]), vqmovn_s32(v[3]));
    vst1q_u8(to, veorq_u8(vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(a), vqmovn_s16(b))), vdupq_n_u8(128)));
}

struct ToInt32 {
    int32_t* acc;
    inline void put(int row, int block, const int32x4_t (&v)[4]) const {
        for (int i = 0; i < 4; ++i) vst1q_s32(acc + row * kTileWidth + block * kLanes + 4 * i, v[i]);
    }
};

struct ToU8 {
    AffineVector affine;
    int64_t first;
    uint8_t* const* out;

    inline void put(int row, int block, const int32x4_t (&acc)[4]) const {
        int32x4_t v[4];
        for (int i = 0; i < 4; ++i) v[i] = affine(block * kLanes + 4 * i, acc[i]);
        store_u8(out[row] + first + block * kLanes, v);
    }
};

struct ToJoint {
    AffineVector first, second;
    const Joint& post;
    const JointRows& rows;
    int64_t start;

    ToJoint(const Joint& joint, int64_t channel, const JointRows& to)
        : first(joint.first), second(joint.second), post(joint), rows(to), start(channel) {}

    static inline int32x4_t load_as_int32(const uint8_t* from, Store type, int64_t channel) {
        if (type == Store::I32) return vld1q_s32(reinterpret_cast<const int32_t*>(from) + channel);
        if (type == Store::I16) return vmovl_s16(vld1_s16(reinterpret_cast<const int16_t*>(from) + channel));
        int32_t four;
        __builtin_memcpy(&four, from + channel, 4);
        const uint16x4_t words = vget_low_u16(vmovl_u8(vreinterpret_u8_s32(vdup_n_s32(four))));
        return vsubq_s32(vreinterpretq_s32_u32(vmovl_u16(words)), vdupq_n_s32(128));
    }

    inline void put(int row, int block, const int32x4_t (&acc)[4]) const {
        const int64_t at = start + block * kLanes;
        const int32x4_t lo = vdupq_n_s32(post.lo), hi = vdupq_n_s32(post.hi);
        int32x4_t v[4];
        for (int i = 0; i < 4; ++i) {
            v[i] = first(block * kLanes + 4 * i, acc[i]);
            if (rows.residual) v[i] = vaddq_s32(v[i], load_as_int32(rows.residual[row], post.residual_type, at + 4 * i));
            v[i] = vminq_s32(vmaxq_s32(v[i], lo), hi);
        }
        if (rows.wide) {
            uint8_t* to = rows.wide[row] + at * store_bytes(post.wide_type);
            if (post.wide_type == Store::U8) store_u8(to, v);
            for (int i = 0; i < 4; ++i) {
                if (post.wide_type == Store::I16) vst1_s16(reinterpret_cast<int16_t*>(to) + 4 * i, vmovn_s32(v[i]));
                if (post.wide_type == Store::I32) vst1q_s32(reinterpret_cast<int32_t*>(to) + 4 * i, v[i]);
            }
        }
        if (!rows.narrow) return;
        for (int i = 0; i < 4; ++i) v[i] = second(block * kLanes + 4 * i, v[i]);
        store_u8(rows.narrow[row] + at, v);
    }
};

template <typename Loops, int ROWS, typename Out>
inline void conv_rows(const ConvTile& tile, int first, int block, const Out& out) {
    int32x4_t acc[ROWS][4];
    Loops::conv(tile, first, block, acc);
    for (int r = 0; r < ROWS; ++r) out.put(first + r, block, acc[r]);
}

template <typename Loops, typename Out>
inline void conv_any(const ConvTile& tile, const Out& out) {
    for (int block = 0; block < tile.blocks; ++block) {
        int r = 0;
        for (; r + Loops::kRows <= tile.rows; r += Loops::kRows) conv_rows<Loops, Loops::kRows>(tile, r, block, out);
        for (; r + 2 <= tile.rows; r += 2) conv_rows<Loops, 2>(tile, r, block, out);
        if (r < tile.rows) conv_rows<Loops, 1>(tile, r, block, out);
    }
}

template <typename Loops, int ROWS, typename Out>
inline void depthwise_rows(const DepthwiseTile& tile, int first, int block, const Out& out) {
    int32x4_t acc[ROWS][4];
    Loops::depthwise(tile, first, block, acc);
    for (int r = 0; r < ROWS; ++r) out.put(first + r, block, acc[r]);
}

template <typename Loops, typename Out>
inline void depthwise_any(const DepthwiseTile& tile, const Out& out) {
    constexpr int kRows = Loops::kDepthwiseRows;
    for (int block = 0; block < tile.blocks; ++block) {
        int r = 0;
        for (; r + kRows <= tile.rows; r += kRows) depthwise_rows<Loops, kRows>(tile, r, block, out);
        for (; r < tile.rows; ++r) depthwise_rows<Loops, 1>(tile, r, block, out);
    }
}

template <typename Loops>
struct Table {
    static void conv(const ConvTile& tile, int32_t* acc) { conv_any<Loops>(tile, ToInt32{acc}); }
    static void depthwise(const DepthwiseTile& tile, int32_t* acc) { depthwise_any<Loops>(tile, ToInt32{acc}); }
    static void conv_u8(const ConvTile& tile, const Affine& post, uint8_t* const* out) {
        conv_any<Loops>(tile, ToU8{AffineVector(post), tile.channel, out});
    }
    static void depthwise_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
        depthwise_any<Loops>(tile, ToU8{AffineVector(post), tile.channel, out});
    }
    static void conv_joint(const ConvTile& tile, const Joint& post, const JointRows& rows) {
        conv_any<Loops>(tile, ToJoint(post, tile.channel, rows));
    }
    static constexpr Kernels named(const char* name) {
        return {name,       {kTileRows, kTileWidth, kLanes, Loops::kDepth, 4, Loops::kOffset, false, false},
                conv,       depthwise,    conv_u8, depthwise_u8, conv_joint, run_program, run_blend,
                run_max_pool, run_channel_max, run_sum, run_interleave3};
    }
};

}  // namespace
}  // namespace cvm
