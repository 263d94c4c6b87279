// Operators that move values and change none.
#include <algorithm>

#include "graph/axes.h"
#include "ops/reference.h"

namespace cvm {
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

void concatenate(const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter) {
    const size_t axis = size_t(resolve_axis(*attrs.axis, int64_t(out.shape.size())));
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < out.shape.size(); ++i) (i < axis ? outer : inner) *= out.shape[i];
    int64_t at = 0;
    for (const In& part : in) {
        const int64_t chunk = elements(part.shape) / outer;
        for (int64_t i = 0; i < outer; ++i, meter.spend(4)) copy(out.data + i * inner + at, part.data + i * chunk, chunk, meter);
        at += chunk;
    }
}

void repeat(const Attrs& attrs, const In& in, const Out& out, Meter& meter) {
    const size_t axis = size_t(resolve_axis(*attrs.axis, int64_t(in.shape.size())));
    int64_t inner = 1;
    for (size_t i = axis + 1; i < in.shape.size(); ++i) inner *= in.shape[i];
    int32_t* to = out.data;
    for (int64_t i = 0, blocks = elements(in.shape) / inner; i < blocks; ++i)
        for (int64_t k = 0; k < attrs.repeats; ++k, to += inner, meter.spend(4)) copy(to, in.data + i * inner, inner, meter);
}

void tile(const In& in, const Out& out, Meter& meter) {
    const size_t rank = out.shape.size(), lead = rank - in.shape.size();
    const Shape out_strides = row_major(out.shape), in_strides = row_major(in.shape);
    for (int64_t i = 0, count = elements(out.shape); i < count; ++i, meter.spend(10)) {
        int64_t at = 0;
        for (size_t axis = lead; axis < rank; ++axis)
            at += i / out_strides[axis] % out.shape[axis] % in.shape[axis - lead] * in_strides[axis - lead];
        out.data[i] = in.data[at];
    }
}

}  // namespace

void evaluate_structural(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter) {
    switch (op) {
        case Op::Concatenate: return concatenate(attrs, in, out, meter);
        case Op::Repeat: return repeat(attrs, in[0], out, meter);
        case Op::Tile: return tile(in[0], out, meter);
        case Op::StridedSlice: return slice(in[0], strided_slices(attrs, in[0].shape), out, meter);
        case Op::SliceLike: return slice(in[0], like_slices(attrs, in[0].shape, in[1].shape), out, meter);
        case Op::Transpose: {
            const Shape source = row_major(in[0].shape);
            Shape strides;
            for (int64_t axis : permutation(attrs, int64_t(source.size()))) strides.push_back(source[size_t(axis)]);
            return gather(in[0].data, 0, strides, out, meter);
        }
        default:  // reshape, squeeze, expand_dims, flatten keep the order
            copy(out.data, in[0].data, elements(out.shape), meter);
    }
}

}  // namespace cvm
