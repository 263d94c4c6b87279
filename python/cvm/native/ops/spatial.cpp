// max_pool2d and upsampling.
#include <algorithm>
#include <limits>

#include "ops/reference.h"

namespace cvm {

void evaluate_max_pool(const Attrs& a, const In& in, const Out& out, Meter& meter) {
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

void evaluate_upsampling(const Attrs& a, const In& in, const Out& out, Meter& meter) {
    const int64_t height = out.shape[2], width = out.shape[3];
    int32_t* to = out.data;
    for (int64_t plane = 0; plane < out.shape[0] * out.shape[1]; ++plane) {
        const int32_t* x = in.data + plane * in.shape[2] * in.shape[3];
        for (int64_t y = 0; y < height; ++y, meter.spend(width))
            for (int64_t i = 0; i < width; ++i) *to++ = x[y / a.scale * in.shape[3] + i / a.scale];
    }
}

}  // namespace cvm
