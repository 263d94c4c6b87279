// conv2d and dense.
#include <algorithm>

#include "ops/reference.h"

namespace cvm {

void evaluate_conv(const Attrs& a, const std::vector<In>& in, const Out& out, Meter& meter) {
    const Shape &x = in[0].shape, &y = out.shape;
    const int64_t channels = x[1], height = x[2], width = x[3];
    const int64_t per_group = channels / a.groups, outputs_per_group = y[1] / a.groups;
    const int64_t taps = a.kernel[0] * a.kernel[1];
    int32_t* to = out.data;
    for (int64_t n = 0; n < y[0]; ++n) {
        for (int64_t o = 0; o < y[1]; ++o) {
            const int32_t* weights = in[1].data + o * per_group * taps;
            const int32_t* source = in[0].data + (n * channels + o / outputs_per_group * per_group) * height * width;
            const int64_t bias = in.size() == 3 ? in[2].data[o] : 0;
            for (int64_t oy = 0; oy < y[2]; ++oy) {
                const int64_t top = oy * a.strides[0] - a.padding[0];
                for (int64_t ox = 0; ox < y[3]; ++ox) {
                    const int64_t left = ox * a.strides[1] - a.padding[1];
                    int64_t sum = bias;
                    meter.spend(per_group * taps);
                    for (int64_t c = 0; c < per_group; ++c) {
                        const int32_t* plane = source + c * height * width;
                        const int32_t* w = weights + c * taps;
                        for (int64_t ky = 0; ky < a.kernel[0]; ++ky) {
                            const int64_t iy = top + ky * a.dilation[0];
                            if (iy < 0 || iy >= height) continue;
                            for (int64_t kx = 0; kx < a.kernel[1]; ++kx) {
                                const int64_t ix = left + kx * a.dilation[1];
                                if (ix >= 0 && ix < width)
                                    sum += int64_t(plane[iy * width + ix]) * w[ky * a.kernel[1] + kx];
                            }
                        }
                    }
                    *to++ = wrap(sum);
                }
            }
        }
    }
}

void evaluate_dense(const std::vector<In>& in, const Out& out, Meter& meter) {
    const int64_t inputs = in[0].shape[1];
    int32_t* to = out.data;
    for (int64_t m = 0; m < out.shape[0]; ++m) {
        for (int64_t n = 0; n < out.shape[1]; ++n) {
            const int32_t *x = in[0].data + m * inputs, *w = in[1].data + n * inputs;
            int64_t sum = in.size() == 3 ? in[2].data[n] : 0;
            meter.spend(inputs);
            for (int64_t k = 0; k < inputs; ++k) sum += int64_t(x[k]) * w[k];
            *to++ = wrap(sum);
        }
    }
}

}  // namespace cvm
