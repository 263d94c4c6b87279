// max_pool2d and upsampling.
#include <algorithm>
#include <limits>

#include "ops/rules.h"

namespace cvm::rules {

void pool_attributes(AttributeReader& read, Attrs& a) {
    a.kernel = read.tuple("pool_size");
    a.strides = read.tuple("strides", {1, 1});
    a.padding = read.tuple("padding", {0, 0});
    a.ceil_mode = read.boolean("ceil_mode", false);
    read.word("layout", {"NCHW"});
    check_pair("pool_size", a.kernel, 1);
    check_pair("strides", a.strides, 1);
    if (a.padding.size() == 1) a.padding.push_back(a.padding[0]);
    check_pair("padding", a.padding, 0);
    require(a.padding[0] < a.kernel[0] && a.padding[1] < a.kernel[1], "the padding must be smaller than the pool");
}

void upsampling_attributes(AttributeReader& read, Attrs& a) {
    a.scale = read.integer("scale");
    read.word("layout", {"NCHW"});
    read.word("method", {"NEAREST_NEIGHBOR"});
    check_within("scale", a.scale, 1, kMaxWindow);
}

Shapes pool_shapes(const Attrs& a, const Shapes& in) {
    const Shape& x = in[0];
    require(x.size() == 4, "data must be 4-D (NCHW), got ", to_string(x));
    Shape out = {x[0], x[1]};
    for (size_t i = 0; i < 2; ++i) {
        const int64_t free = x[i + 2] + 2 * a.padding[i] - a.kernel[i];
        require(free >= 0, "the pool exceeds the padded input ", to_string(x));
        const int64_t count = (a.ceil_mode ? free + a.strides[i] - 1 : free) / a.strides[i] + 1;
        require((count - 1) * a.strides[i] - a.padding[i] < x[i + 2], "ceil_mode: the last window starts beyond the input");
        out.push_back(count);
    }
    return {out};
}

Shapes upsampling_shapes(const Attrs& a, const Shapes& in) {
    require(in[0].size() == 4, "data must be 4-D (NCHW), got ", to_string(in[0]));
    return {Shape{in[0][0], in[0][1], in[0][2] * a.scale, in[0][3] * a.scale}};
}

void evaluate_pool(const Attrs& a, const Inputs& ins, const Outputs& outs, Meter& meter) {
    const In& in = ins[0];
    const Out& out = outs[0];
    const int64_t height = in.shape[2], width = in.shape[3];
    int32_t* to = out.data;
    for (int64_t plane = 0; plane < out.shape[0] * out.shape[1]; ++plane) {
        const int32_t* x = in.data + plane * height * width;
        for (int64_t oy = 0; oy < out.shape[2]; ++oy) {
            const int64_t top = oy * a.strides[0] - a.padding[0];
            for (int64_t ox = 0; ox < out.shape[3]; ++ox) {
                const int64_t left = ox * a.strides[1] - a.padding[1];
                int32_t best = std::numeric_limits<int32_t>::min();
                meter.spend(std::min(a.kernel[0], height) * std::min(a.kernel[1], width));
                for (int64_t iy = std::max<int64_t>(top, 0); iy < std::min(top + a.kernel[0], height); ++iy)
                    for (int64_t ix = std::max<int64_t>(left, 0); ix < std::min(left + a.kernel[1], width); ++ix)
                        best = std::max(best, x[iy * width + ix]);
                *to++ = best;
            }
        }
    }
}

void evaluate_upsampling(const Attrs& a, const Inputs& ins, const Outputs& outs, Meter& meter) {
    const In& in = ins[0];
    const Out& out = outs[0];
    const int64_t height = out.shape[2], width = out.shape[3];
    int32_t* to = out.data;
    for (int64_t plane = 0; plane < out.shape[0] * out.shape[1]; ++plane) {
        const int32_t* x = in.data + plane * in.shape[2] * in.shape[3];
        for (int64_t y = 0; y < height; ++y, meter.spend(width))
            for (int64_t i = 0; i < width; ++i) *to++ = x[y / a.scale * in.shape[3] + i / a.scale];
    }
}

std::optional<Picking> upsampling_picking(const Attrs& a, const Arguments&, const Shape& out) {
    const auto index = [&a](int64_t i) { return i / a.scale; };
    return Picking{numbered(out[2], index), numbered(out[3], index)};
}

int64_t pool_charge(const Attrs& a, const Shapes&, const Shape&) { return a.kernel[0] * a.kernel[1]; }

}  // namespace cvm::rules
