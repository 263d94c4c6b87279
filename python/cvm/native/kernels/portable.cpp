// Plain C++ for every processor.
namespace cvm {
namespace {

constexpr int kLanes = 16;
constexpr int kTileRows = 16, kTileWidth = 32;

}  // namespace
}  // namespace cvm

#include "kernels/common.inl"

namespace cvm {
namespace {

void conv(const ConvTile& tile, int32_t* acc) {
    const int width = tile.blocks * kLanes;
    for (int r = 0; r < tile.rows; ++r) {
        for (int b = 0; b < tile.blocks; ++b) {
            uint32_t sum[kLanes];  // wraps
            for (int o = 0; o < kLanes; ++o) sum[o] = uint32_t(tile.init[b * kLanes + o]);
            const int8_t* w = tile.weights + b * kLanes * 4;
            for (int t = 0; t < tile.taps; ++t) {
                const uint8_t* x = tile.pixels[r] + tile.first_input + tile.tap_offsets[t];
                for (int s = 0; s < tile.steps; ++s, x += 4, w += width * 4)
                    for (int o = 0; o < kLanes; ++o)
                        sum[o] += uint32_t(x[0] * w[4 * o] + x[1] * w[4 * o + 1] + x[2] * w[4 * o + 2] + x[3] * w[4 * o + 3]);
            }
            for (int o = 0; o < kLanes; ++o) acc[r * kTileWidth + b * kLanes + o] = int32_t(sum[o]);
        }
    }
}

void depthwise(const DepthwiseTile& tile, int32_t* acc) {
    const int width = tile.blocks * kLanes;
    for (int r = 0; r < tile.rows; ++r) {
        int32_t* __restrict sum = acc + r * kTileWidth;
        for (int c = 0; c < width; ++c) sum[c] = tile.init[c];
        for (int q = 0; q < tile.steps; ++q) {
            const int8_t* __restrict w = tile.weights + q * kTileWidth * 4;
            const int64_t* offsets = tile.tap_offsets + 4 * q;
            for (int j = 0; j < 4; ++j) {
                const uint8_t* __restrict x = tile.pixels[r] + tile.channel + offsets[j];
                for (int c = 0; c < width; ++c) sum[c] = wrap_add(sum[c], x[c] * w[4 * c + j]);
            }
        }
    }
}

void affine_tile(const int32_t* acc, int rows, int64_t channel, int width, const Affine& post, uint8_t* const* out) {
    for (int r = 0; r < rows; ++r, acc += kTileWidth)
        for (int c = 0; c < width; ++c) out[r][channel + c] = uint8_t(affine(post, acc[c], c) + 128);
}

void conv_u8(const ConvTile& tile, const Affine& post, uint8_t* const* out) {
    int32_t acc[kTileRows * kTileWidth];
    conv(tile, acc);
    affine_tile(acc, tile.rows, tile.channel, tile.blocks * kLanes, post, out);
}

void depthwise_u8(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out) {
    int32_t acc[kTileRows * kTileWidth];
    depthwise(tile, acc);
    affine_tile(acc, tile.rows, tile.channel, tile.blocks * kLanes, post, out);
}

void conv_joint(const ConvTile& tile, const Joint& post, const JointRows& rows) {
    int32_t acc[kTileRows * kTileWidth], other[kTileWidth];
    conv(tile, acc);
    const int width = tile.blocks * kLanes;
    for (int r = 0; r < tile.rows; ++r) {
        int32_t* v = acc + r * kTileWidth;
        for (int c = 0; c < width; ++c) v[c] = affine(post.first, v[c], c);
        if (rows.residual) {
            const uint8_t* from = rows.residual[r] + tile.channel * store_bytes(post.residual_type);
            load_row({nullptr, 0, 0, 0, nullptr, nullptr, post.residual_type, false}, from, width, other);
            for (int c = 0; c < width; ++c) v[c] = wrap_add(v[c], other[c]);
        }
        for (int c = 0; c < width; ++c) v[c] = clamp(v[c], post.lo, post.hi);
        if (rows.wide) store_row(post.wide_type, v, width, rows.wide[r] + tile.channel * store_bytes(post.wide_type));
        if (rows.narrow)
            for (int c = 0; c < width; ++c) rows.narrow[r][tile.channel + c] = uint8_t(affine(post.second, v[c], c) + 128);
    }
}

constexpr Tile kTile = {kTileRows, kTileWidth, kLanes, 4, 4, 128, false, false};
constexpr Kernels kTable = {"portable", kTile, conv, depthwise, conv_u8, depthwise_u8, conv_joint, run_program, run_blend,
                             run_max_pool, run_channel_max, run_sum, run_interleave3};

}  // namespace

const Kernels* portable_kernels() { return &kTable; }

}  // namespace cvm
