// conv2d and dense.
#include <algorithm>

#include "ops/rules.h"

namespace cvm::rules {
namespace {

int product_sum_precision(const Precisions& p, int64_t terms) {
    require(p[0] <= 8, "data precision ", p[0], " exceeds 8");
    require(p[1] <= 8, "weight precision ", p[1], " exceeds 8");
    const int result = p[0] + p[1] + bit_length(uint64_t(terms));
    return p.size() == 3 ? std::max(result, p[2]) + 1 : result;
}

// Sum of products: the weight's sign decides which end of the input counts.
Range products(const Arguments& in, const Shape& out, int64_t groups, bool zero_padded) {
    if (!in[1].constant) return whole(INT64_MIN, INT64_MAX);
    const Tensor& w = *in[1].constant;
    const Range x = in[0].own();
    const Range bias = in.size() == 3 ? in[2].seen_from(Shape{1, out[1]}) : whole(0, 0);
    const int64_t outputs = w.shape[0], inputs = w.shape[1];
    const int64_t taps = w.size() / (outputs * inputs);
    Range r;
    for (int64_t o = 0; o < outputs; ++o) {
        int64_t lo = bias.low(o), hi = bias.high(o);
        for (int64_t i = 0; i < inputs; ++i) {
            const int64_t channel = o / (outputs / groups) * inputs + i;
            int64_t low = x.low(channel), high = x.high(channel);
            if (zero_padded) {
                low = std::min<int64_t>(low, 0);
                high = std::max<int64_t>(high, 0);
            }
            int64_t positive = 0, negative = 0;
            const int64_t first = (o * inputs + i) * taps;
            for (int64_t t = 0; t < taps; ++t) {
                const int64_t v = w.at(first + t);
                (v > 0 ? positive : negative) += v;
            }
            lo += positive * low + negative * high;
            hi += positive * high + negative * low;
        }
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

}  // namespace

void conv_attributes(AttributeReader& read, Attrs& a) {
    a.channels = read.integer("channels");
    a.kernel = read.tuple("kernel_size");
    a.strides = read.tuple("strides", {1, 1});
    a.padding = read.tuple("padding", {0, 0});
    a.dilation = read.tuple("dilation", {1, 1});
    a.groups = read.integer("groups", 1);
    a.use_bias = read.boolean("use_bias", true);
    read.word("layout", {"NCHW"});
    read.word("kernel_layout", {"OIHW"});
    read.word("out_layout", {"__undef__", "NCHW"});
    read.word("out_dtype", {"same", "int32"});
    require(a.channels >= 1, "attribute channels must be at least 1");
    require(a.groups >= 1, "attribute groups must be at least 1");
    check_pair("kernel_size", a.kernel, 1);
    check_pair("strides", a.strides, 1);
    check_pair("padding", a.padding, 0);
    check_pair("dilation", a.dilation, 1);
}

void dense_attributes(AttributeReader& read, Attrs& a) {
    a.units = read.integer("units");
    a.use_bias = read.boolean("use_bias", true);
    require(a.units >= 1, "attribute units must be at least 1");
}

Shapes conv_shapes(const Attrs& a, const Shapes& in) {
    require(in.size() == (a.use_bias ? 3u : 2u), "use_bias needs ", a.use_bias ? 3 : 2, " inputs, got ", in.size());
    const Shape &x = in[0], &w = in[1];
    require(x.size() == 4, "data must be 4-D (NCHW), got ", to_string(x));
    require(x[1] % a.groups == 0 && a.channels % a.groups == 0, "groups=", a.groups, " must divide the channels");
    const Shape expected = {a.channels, x[1] / a.groups, a.kernel[0], a.kernel[1]};
    require(w == expected, "weight must be ", to_string(expected), ", got ", to_string(w));
    if (a.use_bias) require(in[2] == Shape{a.channels}, "bias must be (", a.channels, ",), got ", to_string(in[2]));
    Shape out = {x[0], a.channels};
    for (size_t i = 0; i < 2; ++i) {
        const int64_t free = x[i + 2] + 2 * a.padding[i] - (a.dilation[i] * (a.kernel[i] - 1) + 1);
        require(free >= 0, "the kernel exceeds the padded input ", to_string(x));
        out.push_back(free / a.strides[i] + 1);
    }
    return {out};
}

Shapes dense_shapes(const Attrs& a, const Shapes& in) {
    require(in.size() == (a.use_bias ? 3u : 2u), "use_bias needs ", a.use_bias ? 3 : 2, " inputs, got ", in.size());
    const Shape &x = in[0], &w = in[1];
    require(x.size() == 2, "data must be 2-D, got ", to_string(x));
    require(x[1] < 65536, x[1], " inputs: dense takes fewer than 65536");
    require(w == Shape{a.units, x[1]}, "weight must be (", a.units, ", ", x[1], "), got ", to_string(w));
    if (a.use_bias) require(in[2] == Shape{a.units}, "bias must be (", a.units, ",), got ", to_string(in[2]));
    return {Shape{x[0], a.units}};
}

Precisions conv_precisions(const Attrs&, const Precisions& p, const Shapes& in, const Shapes&) {
    return {product_sum_precision(p, elements(in[1]) / in[1][0])};
}

Precisions dense_precisions(const Attrs&, const Precisions& p, const Shapes& in, const Shapes&) {
    return {product_sum_precision(p, in[0][1])};
}

Range conv_range(const Attrs& a, const Arguments& in, const Shape& out) {
    return products(in, out, a.groups, a.padding[0] || a.padding[1]);
}

Range dense_range(const Attrs&, const Arguments& in, const Shape& out) { return products(in, out, 1, false); }

void evaluate_conv(const Attrs& a, const Inputs& in, const Outputs& outs, Meter& meter) {
    const Out& out = outs[0];
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

void evaluate_dense(const Attrs&, const Inputs& in, const Outputs& outs, Meter& meter) {
    const Out& out = outs[0];
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

// The weights must not depend on the input.
bool weights_constant(const Attrs&, const Arguments& in, const Shape&) {
    return in[1].constant && (in.size() == 2 || in[2].constant);
}

int64_t conv_charge(const Attrs& a, const Shapes& in, const Shape&) { return 3 * (elements(in[1]) / in[1][0]) + a.use_bias; }

int64_t dense_charge(const Attrs& a, const Shapes& in, const Shape&) { return 3 * in[1][1] + a.use_bias; }

}  // namespace cvm::rules
