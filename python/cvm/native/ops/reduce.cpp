// sum and max over axes.
#include <algorithm>
#include <limits>

#include "ops/axes.h"
#include "ops/rules.h"

namespace cvm::rules {
namespace {

template <typename F>
void reduce(const Attrs& a, const In& in, const Out& out, Meter& meter, int32_t start, F join) {
    const size_t rank = in.shape.size();
    const std::vector<bool> reduced = reduced_axes(a, int64_t(rank));
    Shape strides(rank, 0);
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
        if (reduced[i]) continue;
        strides[i] = stride;
        stride *= in.shape[i];
    }
    fill(out.data, elements(out.shape), start, meter);
    Shape index(rank, 0);
    int64_t at = 0;
    for (int64_t i = 0, count = elements(in.shape); i < count; ++i, meter.spend(4)) {
        out.data[at] = join(out.data[at], in.data[i]);
        for (size_t axis = rank; axis-- > 0;) {
            at += strides[axis];
            if (++index[axis] < in.shape[axis]) break;
            at -= strides[axis] * in.shape[axis];
            index[axis] = 0;
        }
    }
}

}  // namespace

void reduce_attributes(AttributeReader& read, Attrs& a) {
    a.axes = read.tuple("axis", {});
    a.keepdims = read.boolean("keepdims", false);
    a.exclude = read.boolean("exclude", false);
    read.word("dtype", {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
                        "float64"});
}

Shapes reduce_shapes(const Attrs& a, const Shapes& in) {
    const Shape& x = in[0];
    const std::vector<bool> reduced = reduced_axes(a, int64_t(x.size()));
    Shape out;
    for (size_t i = 0; i < x.size(); ++i) {
        if (!reduced[i]) out.push_back(x[i]);
        else if (a.keepdims) out.push_back(1);
    }
    if (out.empty()) out.push_back(1);
    return {out};
}

Precisions reduced_sum_precision(const Attrs&, const Precisions& p, const Shapes& in, const Shapes& out) {
    return {p[0] + bit_length(uint64_t(elements(in[0]) / elements(out[0])))};
}

Range reduced_sum_range(const Attrs& a, const Arguments& in, const Shape& out) {
    const Shape& shape = in[0].shape;
    const int64_t terms = elements(shape) / elements(out);
    const bool channels_stay = shape.size() == 4 && !reduced_axes(a, 4)[0] && !reduced_axes(a, 4)[1];
    const Range x = channels_stay ? in[0].own() : collapse(in[0].own());
    return map(x, [terms](int64_t lo, int64_t hi) { return std::pair(lo * terms, hi * terms); });
}

void evaluate_sum(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    reduce(a, in[0], out[0], meter, 0, [](int32_t sum, int32_t x) { return wrap(int64_t(sum) + x); });
}

void evaluate_max(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    reduce(a, in[0], out[0], meter, std::numeric_limits<int32_t>::min(), [](int32_t most, int32_t x) { return std::max(most, x); });
}

bool batch_not_reduced(const Attrs& a, const Arguments& in, const Shape&) {
    return !reduced_axes(a, int64_t(in[0].shape.size()))[0];
}

int64_t sum_charge(const Attrs&, const Shapes& in, const Shape& out) { return elements(in[0]) / elements(out); }

}  // namespace cvm::rules
