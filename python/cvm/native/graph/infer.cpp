// Shape and precision inference of the 37 operators, with every refusal that the format lists.
#include <algorithm>

#include "graph/axes.h"

namespace cvm {
namespace {

template <typename... Parts>
void require(bool condition, const Parts&... message) {
    if (!condition) fail(message...);
}

int64_t rank_of(const Shape& shape) { return int64_t(shape.size()); }

void check_arity(Op op, size_t given) {
    size_t low = 1, high = 1;
    switch (op) {
        case Op::Conv2d: case Op::Dense: low = 2; high = 3; break;
        case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
        case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater: case Op::SliceLike: case Op::Take:
        case Op::CvmLut: case Op::NonMaxSuppression: low = high = 2; break;
        case Op::Where: low = high = 3; break;
        case Op::Concatenate: low = 1; high = 65536; break;
        default: break;
    }
    require(given >= low && given <= high, "expects ", low, low == high ? "" : " or more", " inputs, got ", given);
}

Shape broadcast(const Shape& a, const Shape& b) {
    const size_t rank = std::max(a.size(), b.size());
    Shape out(rank);
    for (size_t i = 0; i < rank; ++i) {
        const int64_t m = i + a.size() < rank ? 1 : a[i + a.size() - rank];
        const int64_t n = i + b.size() < rank ? 1 : b[i + b.size() - rank];
        require(m == n || m == 1 || n == 1, "shapes ", to_string(a), " and ", to_string(b), " do not broadcast");
        out[i] = std::max(m, n);
    }
    return out;
}

Shape conv_shape(const Attrs& a, const std::vector<Shape>& in) {
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
    return out;
}

Shape dense_shape(const Attrs& a, const std::vector<Shape>& in) {
    require(in.size() == (a.use_bias ? 3u : 2u), "use_bias needs ", a.use_bias ? 3 : 2, " inputs, got ", in.size());
    const Shape &x = in[0], &w = in[1];
    require(x.size() == 2, "data must be 2-D, got ", to_string(x));
    require(x[1] < 65536, x[1], " inputs: dense takes fewer than 65536");
    require(w == Shape{a.units, x[1]}, "weight must be (", a.units, ", ", x[1], "), got ", to_string(w));
    if (a.use_bias) require(in[2] == Shape{a.units}, "bias must be (", a.units, ",), got ", to_string(in[2]));
    return {x[0], a.units};
}

Shape pool_shape(const Attrs& a, const Shape& x) {
    require(x.size() == 4, "data must be 4-D (NCHW), got ", to_string(x));
    Shape out = {x[0], x[1]};
    for (size_t i = 0; i < 2; ++i) {
        const int64_t free = x[i + 2] + 2 * a.padding[i] - a.kernel[i];
        require(free >= 0, "the pool exceeds the padded input ", to_string(x));
        const int64_t count = (a.ceil_mode ? free + a.strides[i] - 1 : free) / a.strides[i] + 1;
        require((count - 1) * a.strides[i] - a.padding[i] < x[i + 2], "ceil_mode: the last window starts beyond the input");
        out.push_back(count);
    }
    return out;
}

Shape reduce_shape(const Attrs& a, const Shape& x) {
    const std::vector<bool> reduced = reduced_axes(a, rank_of(x));
    Shape out;
    for (size_t i = 0; i < x.size(); ++i) {
        if (!reduced[i]) out.push_back(x[i]);
        else if (a.keepdims) out.push_back(1);
    }
    if (out.empty()) out.push_back(1);
    return out;
}

Shape concat_shape(const Attrs& a, const std::vector<Shape>& in) {
    Shape out = in[0];
    const size_t axis = size_t(resolve_axis(*a.axis, rank_of(out)));
    for (size_t k = 1; k < in.size(); ++k) {
        bool same = in[k].size() == out.size();
        for (size_t i = 0; same && i < out.size(); ++i) same = i == axis || in[k][i] == out[i];
        require(same, to_string(in[k]), " cannot join ", to_string(in[0]), " along axis ", axis);
        out[axis] += in[k][axis];
    }
    return out;
}

Shape reshape_shape(const Attrs& a, const Shape& source) {
    // Products stay below 2^62: each factor is checked against the total before it is multiplied in.
    const int64_t total = elements(source);
    Shape out;
    std::optional<size_t> unknown;
    size_t at = 0;
    const auto take = [&]() {
        require(at < source.size(), "shape ", to_string(a.shape), " asks for more dimensions than ", to_string(source), " has");
        return source[at++];
    };
    for (size_t i = 0; i < a.shape.size(); ++i) {
        const int64_t code = a.shape[i];
        if (code > 0) {
            out.push_back(code);
            ++at;
        } else if (code == 0) {
            out.push_back(take());
        } else if (code == -1) {
            require(!unknown, "shape ", to_string(a.shape), ": only one dimension can be -1");
            unknown = out.size();
            out.push_back(1);
            ++at;
        } else if (code == -2) {
            while (at < source.size()) out.push_back(source[at++]);
        } else if (code == -3) {
            const int64_t left = take(), right = take();
            out.push_back(left * right);
        } else if (code == -4) {
            require(i + 2 < a.shape.size(), "shape ", to_string(a.shape), ": -4 needs two dimensions after it");
            const int64_t size = take();
            int64_t left = a.shape[i + 1], right = a.shape[i + 2];
            i += 2;
            require(left != -1 || right != -1, "both dimensions after -4 are -1");
            if (left == -1 && right > 0) left = size / right;
            if (right == -1 && left > 0) right = size / left;
            require(left > 0 && right > 0 && left * right == size, left, " x ", right, " does not split ", size);
            out.push_back(left);
            out.push_back(right);
        } else {
            fail("shape ", to_string(a.shape), ": unknown code ", code);
        }
    }
    int64_t known = 1;
    for (int64_t dim : out) {
        require(dim >= 1 && dim <= total, "shape ", to_string(a.shape), " does not fit ", to_string(source));
        known *= dim;
        require(known <= total, "shape ", to_string(a.shape), " does not fit the ", total, " elements of ", to_string(source));
    }
    if (unknown) {
        out[*unknown] = total / known;
        known *= out[*unknown];
    }
    require(known == total, "shape ", to_string(a.shape), " does not fit the ", total, " elements of ", to_string(source));
    return out;
}

Shape squeeze_shape(const Attrs& a, const Shape& x) {
    std::vector<bool> dropped(x.size(), false);
    if (a.axes.empty()) {
        for (size_t i = 0; i < x.size(); ++i) dropped[i] = x[i] == 1;
    } else {
        for (int64_t axis : a.axes) {
            const size_t i = size_t(resolve_axis(axis, rank_of(x)));
            require(x[i] == 1, "axis ", axis, " of ", to_string(x), " is not of size 1");
            dropped[i] = true;
        }
    }
    Shape out;
    for (size_t i = 0; i < x.size(); ++i)
        if (!dropped[i]) out.push_back(x[i]);
    if (out.empty()) out.push_back(1);
    return out;
}

Shape tile_shape(const Attrs& a, const Shape& x) {
    const size_t rank = std::max(x.size(), a.reps.size());
    require(int64_t(rank) <= kMaxDims, "more than ", kMaxDims, " dimensions");
    Shape out(rank);
    for (size_t i = 0; i < rank; ++i) {
        const int64_t dim = i + x.size() < rank ? 1 : x[i + x.size() - rank];
        const int64_t rep = i + a.reps.size() < rank ? 1 : a.reps[i + a.reps.size() - rank];
        out[i] = dim * rep;
    }
    return out;
}

Shape counts(const std::vector<Slice>& slices) {
    Shape out;
    for (const Slice& slice : slices) out.push_back(slice.count);
    return out;
}

int product_precision(const std::vector<int>& p, int64_t terms) {
    require(p[0] <= 8, "data precision ", p[0], " exceeds 8");
    require(p[1] <= 8, "weight precision ", p[1], " exceeds 8");
    const int result = p[0] + p[1] + bit_length(uint64_t(terms));
    return p.size() == 3 ? std::max(result, p[2]) + 1 : result;
}

}  // namespace

int64_t resolve_axis(int64_t axis, int64_t rank) {
    require(axis >= -rank && axis < rank, "axis ", axis, " is outside [", -rank, ", ", rank - 1, "]");
    return axis < 0 ? axis + rank : axis;
}

std::vector<bool> reduced_axes(const Attrs& attrs, int64_t rank) {
    std::vector<bool> reduced(size_t(rank), true);
    if (attrs.axes.empty()) return reduced;
    std::vector<bool> given(size_t(rank), false);
    for (int64_t axis : attrs.axes) {
        const size_t i = size_t(resolve_axis(axis, rank));
        require(!given[i], "axis ", axis, " is given twice");
        given[i] = true;
    }
    for (size_t i = 0; i < given.size(); ++i) reduced[i] = given[i] != attrs.exclude;
    return reduced;
}

std::vector<int64_t> permutation(const Attrs& attrs, int64_t rank) {
    std::vector<int64_t> order;
    if (attrs.axes.empty()) {
        for (int64_t i = rank; i-- > 0;) order.push_back(i);
        return order;
    }
    require(int64_t(attrs.axes.size()) == rank, "axes do not match ", rank, " dimensions");
    std::vector<bool> seen(size_t(rank), false);
    for (int64_t axis : attrs.axes) {
        order.push_back(resolve_axis(axis, rank));
        require(!seen[size_t(order.back())], "axis ", axis, " is given twice");
        seen[size_t(order.back())] = true;
    }
    return order;
}

std::vector<Slice> strided_slices(const Attrs& attrs, const Shape& shape) {
    const size_t rank = shape.size();
    require(attrs.begin.size() <= rank && attrs.end.size() <= rank && attrs.stride.size() <= rank,
            "begin, end or stride has more values than ", to_string(shape), " has dimensions");
    std::vector<Slice> slices;
    for (size_t i = 0; i < rank; ++i) {
        const int64_t dim = shape[i];
        int64_t begin = i < attrs.begin.size() ? attrs.begin[i] : 0;
        int64_t end = i < attrs.end.size() ? attrs.end[i] : dim;
        const int64_t step = i < attrs.stride.size() ? attrs.stride[i] : 1;
        require(step != 0, "stride of axis ", i, " is 0");
        const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
        begin = std::clamp(begin < 0 ? begin + dim : begin, low, high);
        end = std::clamp(end < 0 ? end + dim : end, low, high);
        require(step > 0 ? begin < end : begin > end, "the slice of axis ", i, " is empty");
        slices.push_back({begin, step, step > 0 ? ceil_div(end - begin, step) : ceil_div(begin - end, -step)});
    }
    return slices;
}

std::vector<Slice> like_slices(const Attrs& attrs, const Shape& shape, const Shape& like) {
    std::vector<Slice> slices;
    for (int64_t dim : shape) slices.push_back({0, 1, dim});
    const auto limit = [&](size_t axis) {
        require(axis < like.size() && like[axis] <= shape[axis], to_string(like), " exceeds ", to_string(shape), " along axis ", axis);
        slices[axis].count = like[axis];
    };
    if (attrs.axes.empty()) {
        for (size_t i = 0; i < std::min(shape.size(), like.size()); ++i) limit(i);
    } else {
        for (int64_t axis : attrs.axes) limit(size_t(resolve_axis(axis, rank_of(shape))));
    }
    return slices;
}

std::vector<Shape> infer_shapes(Op op, const Attrs& a, const std::vector<Shape>& in) {
    check_arity(op, in.size());
    std::vector<Shape> out;
    switch (op) {
        case Op::Conv2d: out = {conv_shape(a, in)}; break;
        case Op::Dense: out = {dense_shape(a, in)}; break;
        case Op::MaxPool2d: out = {pool_shape(a, in[0])}; break;
        case Op::Upsampling:
            require(in[0].size() == 4, "data must be 4-D (NCHW), got ", to_string(in[0]));
            out = {{in[0][0], in[0][1], in[0][2] * a.scale, in[0][3] * a.scale}};
            break;
        case Op::ElemwiseAdd:
        case Op::ElemwiseSub:
            require(in[0] == in[1], "shapes ", to_string(in[0]), " and ", to_string(in[1]), " differ");
            out = {in[0]};
            break;
        case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
        case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater:
            out = {broadcast(in[0], in[1])};
            break;
        case Op::Sum: case Op::Max: out = {reduce_shape(a, in[0])}; break;
        case Op::Concatenate: out = {concat_shape(a, in)}; break;
        case Op::Transpose: {
            Shape shape;
            for (int64_t axis : permutation(a, rank_of(in[0]))) shape.push_back(in[0][size_t(axis)]);
            out = {shape};
            break;
        }
        case Op::Reshape: out = {reshape_shape(a, in[0])}; break;
        case Op::Squeeze: out = {squeeze_shape(a, in[0])}; break;
        case Op::ExpandDims: {
            require(rank_of(in[0]) + a.num_newaxis <= kMaxDims, "more than ", kMaxDims, " dimensions");
            Shape shape = in[0];
            const int64_t axis = resolve_axis(*a.axis, rank_of(shape) + 1);
            shape.insert(shape.begin() + axis, size_t(a.num_newaxis), 1);
            out = {shape};
            break;
        }
        case Op::Flatten: out = {{in[0][0], elements(in[0]) / in[0][0]}}; break;
        case Op::Repeat: {
            Shape shape = in[0];
            shape[size_t(resolve_axis(*a.axis, rank_of(shape)))] *= a.repeats;
            out = {shape};
            break;
        }
        case Op::Tile: out = {tile_shape(a, in[0])}; break;
        case Op::StridedSlice: out = {counts(strided_slices(a, in[0]))}; break;
        case Op::SliceLike: out = {counts(like_slices(a, in[0], in[1]))}; break;
        case Op::Take: {
            if (!a.axis) {
                out = {in[1]};
                break;
            }
            const int64_t axis = resolve_axis(*a.axis, rank_of(in[0]));
            Shape shape(in[0].begin(), in[0].begin() + axis);
            shape.insert(shape.end(), in[1].begin(), in[1].end());
            shape.insert(shape.end(), in[0].begin() + axis + 1, in[0].end());
            out = {shape};
            break;
        }
        case Op::CvmLut:
            require(elements(in[1]) == a.in_dim, "in_dim=", a.in_dim, " differs from the table's ", elements(in[1]), " elements");
            out = {in[0]};
            break;
        case Op::Where:
            require(in[1] == in[2], "values ", to_string(in[1]), " and ", to_string(in[2]), " differ in shape");
            require(in[0] == in[1] || in[0] == Shape{in[1][0]}, "the condition ", to_string(in[0]),
                    " must have the values' shape ", to_string(in[1]), " or their first dimension");
            out = {in[1]};
            break;
        case Op::GetValidCounts:
            require(in[0].size() == 3, "data must be 3-D (batch, rows, values), got ", to_string(in[0]));
            require(in[0][2] >= 2 && in[0][2] < 32, "rows must have 2 to 31 values, got ", in[0][2]);
            out = {{in[0][0]}, in[0]};
            break;
        case Op::NonMaxSuppression:
            require(in[0].size() == 3 && in[0][2] == 6, "data must be (batch, rows, 6), got ", to_string(in[0]));
            require(in[1] == Shape{in[0][0]}, "valid counts must be (", in[0][0], ",), got ", to_string(in[1]));
            out = {in[0]};
            break;
        default: out = {in[0]}; break;  // element-wise functions of one tensor
    }
    for (const Shape& shape : out) check_shape(shape);
    return out;
}

std::vector<int> infer_precisions(Op op, const Attrs& a, const std::vector<int>& p, const std::vector<Shape>& in,
                                  const std::vector<Shape>& out) {
    switch (op) {
        case Op::Conv2d: return {product_precision(p, elements(in[1]) / in[1][0])};
        case Op::Dense: return {product_precision(p, in[0][1])};
        case Op::CvmPrecision: return {6};
        case Op::Clip: return {bit_length(uint64_t(std::max(std::abs(a.a_min), std::abs(a.a_max)) + 1)) + 1};
        case Op::CvmClip: case Op::CvmRightShift: return {a.precision};
        case Op::CvmLeftShift:
            require(p[0] + a.shift_bit <= 32, "input precision ", p[0], " + shift_bit ", a.shift_bit, " exceeds 32");
            return {a.precision};
        case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub:
            return {std::max(p[0], p[1]) + 1};
        case Op::BroadcastMul: return {p[0] + p[1]};
        case Op::BroadcastMax: return {std::max(p[0], p[1])};
        case Op::BroadcastGreater:
            require(p[0] >= 2, "the first input needs a precision of at least 2 to hold the result 1");
            return {p[0]};
        case Op::Sum: return {p[0] + bit_length(uint64_t(elements(in[0]) / elements(out[0])))};
        case Op::Concatenate: return {*std::max_element(p.begin(), p.end())};
        case Op::CvmLut: return {p[1]};
        case Op::Where:
            require(p[0] >= std::max(p[1], p[2]), "the condition's precision ", p[0], " must be at least the values' ",
                    std::max(p[1], p[2]), ", as the result takes it");
            return {p[0]};
        case Op::GetValidCounts:
            require(p[0] >= 2, "data needs a precision of at least 2 to hold the fill value -1");
            return {bit_length(uint64_t(in[0][1] * in[0][2] + 1)) + 1, p[0]};
        case Op::NonMaxSuppression:
            require(p[0] >= 2, "data needs a precision of at least 2 to hold the fill value -1");
            return {p[0]};
        default: return {p[0]};
    }
}

}  // namespace cvm
