// Operators that move values and change none.
#include <algorithm>

#include "ops/axes.h"
#include "ops/rules.h"

namespace cvm::rules {
namespace {

Shape row_major(const Shape& shape) {
    Shape strides(shape.size());
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= shape[i];
    }
    return strides;
}

// out[index] = in[start + sum of index * strides]
void gather(const int32_t* in, int64_t start, const Shape& strides, const Out& out, Meter& meter) {
    const size_t rank = out.shape.size();
    const int64_t inner = out.shape[rank - 1], step = strides[rank - 1];
    Shape index(rank, 0);
    int64_t at = start;
    int32_t* to = out.data;
    for (int64_t row = 0, rows = elements(out.shape) / inner; row < rows; ++row) {
        meter.spend(4);
        if (step == 1) {
            copy(to, in + at, inner, meter);
        } else {
            for (int64_t i = 0; i < inner; ++i, meter.spend(1)) to[i] = in[at + i * step];
        }
        to += inner;
        for (size_t axis = rank - 1; axis-- > 0;) {
            at += strides[axis];
            if (++index[axis] < out.shape[axis]) break;
            at -= strides[axis] * out.shape[axis];
            index[axis] = 0;
        }
    }
}

void slice(const In& in, const std::vector<Slice>& slices, const Out& out, Meter& meter) {
    Shape strides = row_major(in.shape);
    int64_t start = 0;
    for (size_t i = 0; i < slices.size(); ++i) {
        start += slices[i].start * strides[i];
        strides[i] *= slices[i].step;
    }
    gather(in.data, start, strides, out, meter);
}

bool keeps_first_axis(const std::vector<Slice>& slices, const Shape& in) {
    return slices[0].start == 0 && slices[0].step == 1 && slices[0].count == in[0];
}

std::optional<Picking> picking_of(const std::vector<Slice>& slices, const Shape& in) {
    if (in.size() != 4) return std::nullopt;
    for (size_t axis = 0; axis < 2; ++axis)
        if (slices[axis].start != 0 || slices[axis].step != 1 || slices[axis].count != in[axis]) return std::nullopt;
    const auto numbers = [&](size_t axis) {
        return numbered(slices[axis].count, [&](int64_t i) { return slices[axis].start + i * slices[axis].step; });
    };
    return Picking{numbers(2), numbers(3)};
}

Shape counts(const std::vector<Slice>& slices) {
    Shape out;
    for (const Slice& slice : slices) out.push_back(slice.count);
    return out;
}

}  // namespace

// --- attributes

void concatenate_attributes(AttributeReader& read, Attrs& a) { a.axis = read.integer("axis", 1); }

void transpose_attributes(AttributeReader& read, Attrs& a) { a.axes = read.tuple("axes", {}); }

void axes_attributes(AttributeReader& read, Attrs& a) { a.axes = read.tuple("axis", {}); }

void repeat_attributes(AttributeReader& read, Attrs& a) {
    a.repeats = read.integer("repeats");
    a.axis = read.integer("axis", 0);
    require(a.repeats >= 1, "attribute repeats must be at least 1");
}

void tile_attributes(AttributeReader& read, Attrs& a) {
    a.reps = read.tuple("reps");
    require(!a.reps.empty(), "attribute reps is empty");
    for (int64_t rep : a.reps) check_within("reps", rep, 1, kMaxWindow);
}

void slice_attributes(AttributeReader& read, Attrs& a) {
    a.begin = read.tuple("begin");
    a.end = read.tuple("end");
    a.stride = read.tuple("stride", {});
}

// --- shapes

Shapes concatenate_shapes(const Attrs& a, const Shapes& in) {
    Shape out = in[0];
    const size_t axis = size_t(resolve_axis(*a.axis, int64_t(out.size())));
    for (size_t k = 1; k < in.size(); ++k) {
        bool same = in[k].size() == out.size();
        for (size_t i = 0; same && i < out.size(); ++i) same = i == axis || in[k][i] == out[i];
        require(same, to_string(in[k]), " cannot join ", to_string(in[0]), " along axis ", axis);
        out[axis] += in[k][axis];
    }
    return {out};
}

Shapes transpose_shapes(const Attrs& a, const Shapes& in) {
    Shape out;
    for (int64_t axis : permutation(a, int64_t(in[0].size()))) out.push_back(in[0][size_t(axis)]);
    return {out};
}

Shapes repeat_shapes(const Attrs& a, const Shapes& in) {
    Shape out = in[0];
    out[size_t(resolve_axis(*a.axis, int64_t(out.size())))] *= a.repeats;
    return {out};
}

Shapes tile_shapes(const Attrs& a, const Shapes& in) {
    const Shape& x = in[0];
    const size_t rank = std::max(x.size(), a.reps.size());
    require(int64_t(rank) <= kMaxDims, "more than ", kMaxDims, " dimensions");
    Shape out(rank);
    for (size_t i = 0; i < rank; ++i) {
        const int64_t dim = i + x.size() < rank ? 1 : x[i + x.size() - rank];
        const int64_t rep = i + a.reps.size() < rank ? 1 : a.reps[i + a.reps.size() - rank];
        out[i] = dim * rep;
    }
    return {out};
}

Shapes slice_shapes(const Attrs& a, const Shapes& in) { return {counts(strided_slices(a, in[0]))}; }

Shapes slice_like_shapes(const Attrs& a, const Shapes& in) { return {counts(like_slices(a, in[0], in[1]))}; }

// --- precisions and ranges

Precisions largest_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) {
    return {*std::max_element(p.begin(), p.end())};
}

Range concatenate_range(const Attrs& a, const Arguments& in, const Shape& out) {
    if (resolve_axis(*a.axis, int64_t(out.size())) != 1) return hull(in.data(), in.data() + in.size());
    Range r;
    for (const Known& input : in) {
        const Range part = input.own();
        for (int64_t c = 0; c < input.shape[1]; ++c) {
            r.lo.push_back(part.low(c));
            r.hi.push_back(part.high(c));
        }
    }
    return r;
}

// --- scalar definitions

void evaluate_concatenate(const Attrs& a, const Inputs& in, const Outputs& outs, Meter& meter) {
    const Out& out = outs[0];
    const size_t axis = size_t(resolve_axis(*a.axis, int64_t(out.shape.size())));
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < out.shape.size(); ++i) (i < axis ? outer : inner) *= out.shape[i];
    int64_t at = 0;
    for (const In& part : in) {
        const int64_t chunk = elements(part.shape) / outer;
        for (int64_t i = 0; i < outer; ++i, meter.spend(4)) copy(out.data + i * inner + at, part.data + i * chunk, chunk, meter);
        at += chunk;
    }
}

void evaluate_transpose(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    const Shape source = row_major(in[0].shape);
    Shape strides;
    for (int64_t axis : permutation(a, int64_t(source.size()))) strides.push_back(source[size_t(axis)]);
    gather(in[0].data, 0, strides, out[0], meter);
}

void evaluate_repeat(const Attrs& a, const Inputs& ins, const Outputs& outs, Meter& meter) {
    const In& in = ins[0];
    const Out& out = outs[0];
    const size_t axis = size_t(resolve_axis(*a.axis, int64_t(in.shape.size())));
    int64_t inner = 1;
    for (size_t i = axis + 1; i < in.shape.size(); ++i) inner *= in.shape[i];
    int32_t* to = out.data;
    for (int64_t i = 0, blocks = elements(in.shape) / inner; i < blocks; ++i)
        for (int64_t k = 0; k < a.repeats; ++k, to += inner, meter.spend(4)) copy(to, in.data + i * inner, inner, meter);
}

void evaluate_tile(const Attrs&, const Inputs& ins, const Outputs& outs, Meter& meter) {
    const In& in = ins[0];
    const Out& out = outs[0];
    const size_t rank = out.shape.size(), lead = rank - in.shape.size();
    const Shape out_strides = row_major(out.shape), in_strides = row_major(in.shape);
    for (int64_t i = 0, count = elements(out.shape); i < count; ++i, meter.spend(10)) {
        int64_t at = 0;
        for (size_t axis = lead; axis < rank; ++axis)
            at += i / out_strides[axis] % out.shape[axis] % in.shape[axis - lead] * in_strides[axis - lead];
        out.data[i] = in.data[at];
    }
}

void evaluate_slice(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    slice(in[0], strided_slices(a, in[0].shape), out[0], meter);
}

void evaluate_slice_like(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    slice(in[0], like_slices(a, in[0].shape, in[1].shape), out[0], meter);
}

// --- batches

bool concatenate_separates(const Attrs& a, const Arguments& in, const Shape& out) {
    return resolve_axis(*a.axis, int64_t(out.size())) != 0 && none_constant(a, in, out);
}

bool transpose_separates(const Attrs& a, const Arguments& in, const Shape&) {
    return permutation(a, int64_t(in[0].shape.size()))[0] == 0;
}

bool repeat_separates(const Attrs& a, const Arguments& in, const Shape&) {
    return resolve_axis(*a.axis, int64_t(in[0].shape.size())) != 0;
}

bool tile_separates(const Attrs&, const Arguments& in, const Shape& out) { return out.size() == in[0].shape.size(); }

bool slice_separates(const Attrs& a, const Arguments& in, const Shape&) {
    return keeps_first_axis(strided_slices(a, in[0].shape), in[0].shape);
}

bool slice_like_separates(const Attrs& a, const Arguments& in, const Shape&) {
    return !in[0].constant && keeps_first_axis(like_slices(a, in[0].shape, in[1].shape), in[0].shape);
}

// --- picking of pixels

std::optional<Picking> repeat_picking(const Attrs& a, const Arguments& in, const Shape& out) {
    if (in[0].shape.size() != 4) return std::nullopt;
    const int64_t axis = resolve_axis(*a.axis, 4);
    if (axis < 2) return std::nullopt;
    const auto index = [&a](int64_t i) { return i / a.repeats; };
    if (axis == 2) return Picking{numbered(out[2], index), numbered(out[3])};
    return Picking{numbered(out[2]), numbered(out[3], index)};
}

std::optional<Picking> tile_picking(const Attrs&, const Arguments& in, const Shape& out) {
    const Shape& shape = in[0].shape;
    if (shape.size() != 4 || out.size() != 4 || out[0] != shape[0] || out[1] != shape[1]) return std::nullopt;
    const auto numbers = [&](size_t axis) { return numbered(out[axis], [&](int64_t i) { return i % shape[axis]; }); };
    return Picking{numbers(2), numbers(3)};
}

std::optional<Picking> slice_picking(const Attrs& a, const Arguments& in, const Shape&) {
    return picking_of(strided_slices(a, in[0].shape), in[0].shape);
}

std::optional<Picking> slice_like_picking(const Attrs& a, const Arguments& in, const Shape&) {
    return picking_of(like_slices(a, in[0].shape, in[1].shape), in[0].shape);
}

}  // namespace cvm::rules
