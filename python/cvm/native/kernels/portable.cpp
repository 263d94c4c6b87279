// Plain C++ for every processor.
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
                const uint8_t* x = tile.pixels[r] + tile.tap_offsets[t];
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
        for (int q = 0; q < tile.quads; ++q) {
            const int8_t* __restrict w = tile.weights + q * kTileWidth * 4;
            const int64_t* offsets = tile.tap_offsets + 4 * q;
            for (int j = 0; j < 4; ++j) {
                const uint8_t* __restrict x = tile.pixels[r] + offsets[j];
                for (int c = 0; c < width; ++c) sum[c] = wrap_add(sum[c], x[c] * w[4 * c + j]);
            }
        }
    }
}

void conv_u8(const ConvTile& tile, const Requantize& post, uint8_t* const* out) {
    int32_t acc[kTileRows * kTileWidth];
    conv(tile, acc);
    requantize_tile(acc, tile.rows, tile.blocks * kLanes, post, out);
}

void depthwise_u8(const DepthwiseTile& tile, const Requantize& post, uint8_t* const* out) {
    int32_t acc[kTileRows * kTileWidth];
    depthwise(tile, acc);
    requantize_tile(acc, tile.rows, tile.blocks * kLanes, post, out);
}

constexpr Kernels kTable = {"portable", false, 128, conv, depthwise, conv_u8, depthwise_u8, run_program, run_max_pool, run_sum};

}  // namespace

const Kernels* portable_kernels() { return &kTable; }

}  // namespace cvm
