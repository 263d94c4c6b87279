#include "plan/range.h"

#include <algorithm>

#include "graph/axes.h"
#include "ops/reference.h"

namespace cvm {
namespace {

Range whole(int64_t lo, int64_t hi) { return {{lo}, {hi}}; }
Range collapse(const Range& r) { return whole(r.min(), r.max()); }

int64_t channels_of(const Shape& shape) { return shape.size() >= 2 ? shape[1] : 1; }

// A constant seen from an output of the given shape: per channel of the output's axis 1 where the constant varies.
Range constant_range(const Tensor& tensor, const Shape& out) {
    const int64_t count = tensor.size();
    const int64_t channels = channels_of(out);
    const size_t lead = out.size() - std::min(out.size(), tensor.shape.size());
    int64_t inner = 1;
    bool varies = out.size() >= 2 && lead <= 1 && tensor.shape.size() <= out.size() && tensor.shape[1 - lead] == channels;
    if (varies)
        for (size_t i = 2 - lead; i < tensor.shape.size(); ++i) inner *= tensor.shape[i];
    Range r = whole(tensor.at(0), tensor.at(0));
    if (varies) {
        r.lo.assign(size_t(channels), INT64_MAX);
        r.hi.assign(size_t(channels), INT64_MIN);
    }
    for (int64_t i = 0; i < count; ++i) {
        const size_t c = varies ? size_t(i / inner % channels) : 0;
        const int64_t v = tensor.at(i);
        r.lo[c] = std::min(r.lo[c], v);
        r.hi[c] = std::max(r.hi[c], v);
    }
    return r;
}

// f(lo, hi) per channel.
template <typename F>
Range map(const Range& x, F f) {
    Range r;
    for (size_t c = 0; c < x.lo.size(); ++c) {
        const auto [lo, hi] = f(x.lo[c], x.hi[c]);
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

template <typename F>
Range combine(const Range& a, const Range& b, F f) {
    Range r;
    const size_t count = std::max(a.lo.size(), b.lo.size());
    for (size_t c = 0; c < count; ++c) {
        const auto [lo, hi] = f(a.low(int64_t(c)), a.high(int64_t(c)), b.low(int64_t(c)), b.high(int64_t(c)));
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

using Pair = std::pair<int64_t, int64_t>;

Range unary(Op op, const Attrs& attrs, const Range& x) {
    return map(x, [&](int64_t lo, int64_t hi) -> Pair {
        const auto at = [&](int64_t v) { return int64_t(apply_unary(op, attrs, int32_t(v))); };
        switch (op) {
            case Op::Negative: return {-hi, -lo};
            case Op::Abs: case Op::CvmPrecision: {
                const int64_t least = lo <= 0 && hi >= 0 ? 0 : std::min(std::abs(lo), std::abs(hi));
                return {at(least), at(std::max(std::abs(lo), std::abs(hi)))};
            }
            default: return {at(lo), at(hi)};  // not decreasing
        }
    });
}

Range binary(Op op, const Range& x, const Range& y) {
    return combine(x, y, [op](int64_t a, int64_t b, int64_t c, int64_t d) -> Pair {
        switch (op) {
            case Op::ElemwiseAdd: case Op::BroadcastAdd: return {a + c, b + d};
            case Op::ElemwiseSub: case Op::BroadcastSub: return {a - d, b - c};
            case Op::BroadcastMul: {
                const auto [lo, hi] = std::minmax({a * c, a * d, b * c, b * d});
                return {lo, hi};
            }
            case Op::BroadcastMax: return {std::max(a, c), std::max(b, d)};
            case Op::BroadcastDiv: {
                const int64_t most = std::max(std::abs(a), std::abs(b));
                return {-most, most};
            }
            default: return {a > d, b > c};
        }
    });
}

// Sum of products: the weight's sign decides which end of the input counts.
Range products(const Range& x, const Tensor& w, int64_t groups, bool zero_padded, const Range* bias) {
    const int64_t outputs = w.shape[0], inputs = w.shape[1];
    const int64_t taps = w.size() / (outputs * inputs);
    Range r;
    for (int64_t o = 0; o < outputs; ++o) {
        int64_t lo = bias ? bias->low(o) : 0, hi = bias ? bias->high(o) : 0;
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

class Inference {
public:
    Inference(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes, Ranges& ranges)
        : graph_(graph), constants_(constants), shapes_(shapes), ranges_(ranges) {}

    Range node(const Node& node, const Shape& out) {
        const Attrs& a = node.attrs;
        switch (node.op) {
            case Op::Conv2d: case Op::Dense: {
                const Tensor* w = constants_.find(node.inputs[1]);
                if (!w) return whole(INT64_MIN, INT64_MAX);
                const bool padded = node.op == Op::Conv2d && (a.padding[0] || a.padding[1]);
                Range bias;
                if (node.inputs.size() == 3) bias = of(node.inputs[2], Shape{1, out[1]});
                const Range x = of(node.inputs[0], shape(node.inputs[0]));
                return products(x, *w, node.op == Op::Conv2d ? a.groups : 1, padded, node.inputs.size() == 3 ? &bias : nullptr);
            }
            case Op::MaxPool2d: case Op::Upsampling: return of(node.inputs[0], out);
            case Op::Relu: case Op::Abs: case Op::Negative: case Op::CvmPrecision: case Op::Clip: case Op::CvmClip:
            case Op::CvmRightShift: case Op::CvmLeftShift:
                return unary(node.op, a, of(node.inputs[0], out));
            case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
            case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater:
                return binary(node.op, of(node.inputs[0], out), of(node.inputs[1], out));
            case Op::Sum: {
                const Shape& in = shape(node.inputs[0]);
                const int64_t terms = elements(in) / elements(out);
                const bool channels_stay = in.size() == 4 && !reduced_axes(a, 4)[0] && !reduced_axes(a, 4)[1];
                const Range x = channels_stay ? of(node.inputs[0], in) : collapse(of(node.inputs[0], in));
                return map(x, [terms](int64_t lo, int64_t hi) -> Pair { return {lo * terms, hi * terms}; });
            }
            case Op::Concatenate: {
                if (resolve_axis(*a.axis, int64_t(out.size())) != 1) return hull(node.inputs);
                Range r;
                for (Entry input : node.inputs) {
                    const Range part = of(input, shape(input));
                    for (int64_t c = 0; c < shape(input)[1]; ++c) {
                        r.lo.push_back(part.low(c));
                        r.hi.push_back(part.high(c));
                    }
                }
                return r;
            }
            case Op::Reshape: case Op::Squeeze: case Op::ExpandDims: case Op::Flatten: {
                const Shape& in = shape(node.inputs[0]);
                const Range x = of(node.inputs[0], in);
                const bool same_channels = in.size() >= 2 && out.size() >= 2 && in[0] == out[0] && in[1] == out[1];
                return same_channels ? x : collapse(x);
            }
            case Op::CvmLut: return collapse(of(node.inputs[1], shape(node.inputs[1])));
            case Op::Where: return hull({node.inputs[1], node.inputs[2]});
            case Op::NonMaxSuppression: {
                const Range x = of(node.inputs[0], shape(node.inputs[0]));
                return whole(std::min<int64_t>(x.min(), -1), std::max<int64_t>(x.max(), -1));
            }
            case Op::GetValidCounts: return whole(INT64_MIN, INT64_MAX);  // left to the precision
            default: return collapse(of(node.inputs[0], shape(node.inputs[0])));  // values move
        }
    }

private:
    const Shape& shape(Entry e) const { return shapes_[size_t(e.node)][size_t(e.index)]; }

    // The range of an input as seen from a tensor of shape `out` that it broadcasts to.
    Range of(Entry entry, const Shape& out) const {
        if (const Tensor* tensor = constants_.find(entry)) return constant_range(*tensor, out);
        const Range& r = ranges_[size_t(entry.node)][size_t(entry.index)];
        const Shape& in = shape(entry);
        const bool aligned = in.size() == out.size() && r.lo.size() == size_t(channels_of(out));
        return aligned ? r : collapse(r);
    }

    Range hull(const std::vector<Entry>& entries) const {
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        for (Entry entry : entries) {
            const Range r = of(entry, shape(entry));
            lo = std::min(lo, r.min());
            hi = std::max(hi, r.max());
        }
        return whole(lo, hi);
    }

    const Graph& graph_;
    const Constants& constants_;
    const std::vector<std::vector<Shape>>& shapes_;
    Ranges& ranges_;
};

}  // namespace

int64_t Range::min() const { return *std::min_element(lo.begin(), lo.end()); }
int64_t Range::max() const { return *std::max_element(hi.begin(), hi.end()); }

Ranges infer_ranges(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes,
                    Share& share, const Watch* watch) {
    Ranges ranges;
    Inference inference(graph, constants, shapes, ranges);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (watch) watch->check();
        std::vector<Range> own;
        for (size_t k = 0; k < node.precisions.size(); ++k) {
            const int64_t limit = magnitude(node.precisions[k]);
            // Constants are read where they are used.
            const bool given = node.op == Op::Variable || constants.knows({int(i), int(k)});
            Range r = given ? whole(-limit, limit) : inference.node(node, shapes[i][k]);
            for (int64_t& v : r.lo) v = std::clamp(v, -limit, limit);  // the inferred precision is a bound as well
            for (int64_t& v : r.hi) v = std::clamp(v, -limit, limit);
            share.take(int64_t(r.lo.size() * 2 * sizeof(int64_t)), "a range per channel");
            own.push_back(std::move(r));
        }
        ranges.push_back(std::move(own));
    }
    return ranges;
}

}  // namespace cvm
