// Convolutions as the kernels want them: padding with any value, zero borders of the weights cut off, weights packed.
#pragma once

#include <memory>
#include <optional>

#include "ops/operator.h"
#include "plan/ranges.h"
#include "exec/steps.h"

namespace cvm {

// A rectangle of a convolution's result, and what is added to each channel there.
struct BorderPart {
    int64_t y, x, h, w;
    std::vector<int64_t> added;
};

// y[o] = bias[o] + sum of x * w, the input extended by pad_value, plus what the part of the result says.
struct Convolution {
    int64_t groups = 1, outputs = 0, inputs = 0;  // inputs per group
    int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
    int64_t top = 0, left = 0;       // how far the first window starts before the input; negative: inside
    int64_t pad_value = 0;
    const Tensor* weights = nullptr;
    int64_t stored_h = 1, stored_w = 1, skip_h = 0, skip_w = 0;  // the kernel inside the stored weights
    std::vector<int64_t> bias;
    std::vector<BorderPart> parts;  // none: nothing is added; else they cover the result

    int64_t weight(int64_t o, int64_t i, int64_t ky, int64_t kx) const {
        return weights->at(((o * inputs + i) * stored_h + skip_h + ky) * stored_w + skip_w + kx);
    }
    bool depthwise() const { return inputs == 1 && groups == outputs && groups > 1; }
};

Convolution describe_conv(const Attrs& attrs, const Tensor& weights, const Tensor* bias);

// Drops outer rows and columns of the kernel that are zero for every channel.
void crop(Convolution& conv);

// A constant of shape (1, outputs, out_h, out_w), which may consist of picked pixels of a smaller one.
struct ConstantMap {
    const Tensor& tensor;
    const Picking* pixels;  // nullptr: the tensor itself
    int64_t height, width;  // of the map

    bool fits(int64_t channels) const;  // whether it has that shape, with so many channels
    int64_t at(int64_t o, int64_t y, int64_t x) const {
        if (!pixels) return tensor.at((o * height + y) * width + x);
        const Shape& stored = tensor.shape;
        return tensor.at((o * stored[2] + pixels->rows[size_t(y)]) * stored[3] + pixels->columns[size_t(x)]);
    }
};

// Whether conv with zero padding, plus the map, equals the convolution that pads with one value and adds one bias per channel;
// if so turns `conv` into that.
bool absorb_map(Convolution& conv, const ConstantMap& map, int64_t in_h, int64_t in_w);

// The map as rectangles that are the same all over, for so many channels; none where there are too many of them.
std::vector<BorderPart> border_parts(const ConstantMap& map, int64_t channels);

// Proven values of every output channel, for an input of the given range.
Range output_range(const Convolution& conv, const Range& input);

// Packed weights do not depend on the bias; init cancels the offset that the
// kernels add to every input value (Tile::offset).
struct PackedConv {
    int steps = 0;
    bool row_taps = false;   // a tap is a whole row of the kernel
    std::vector<ConvStep::Block> blocks;
    std::shared_ptr<const std::vector<Fetch>> fetches;  // of the blocks, where Tile::paired
    std::shared_ptr<const Aligned<int8_t>> weights;
    Aligned<int32_t> init;
};

// Whether the pixels that a row of the kernel meets lie one after the other: they are one tap then.
bool takes_rows(const Convolution& conv, int64_t pixel_bytes);

// `pixel_bytes`: distance between neighbouring pixels of the input.
PackedConv pack_conv(const Convolution& conv, int64_t pixel_bytes, const Tile& tile, Share& share);

struct PackedDepthwise {
    std::shared_ptr<const Aligned<int8_t>> weights;
    Aligned<int32_t> init;
};

// `repeat`: so many neighbouring pixels are seen as one of more channels.
PackedDepthwise pack_depthwise(const Convolution& conv, int64_t repeat, const Tile& tile, Share& share);

}  // namespace cvm
