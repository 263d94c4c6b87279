// Functions of one tensor, and of two tensors that broadcast.
#include <algorithm>

#include "ops/reference.h"

namespace cvm {
namespace {

int32_t limit_to(int64_t value, int precision) {
    const int64_t high = magnitude(precision);
    return int32_t(std::clamp(value, -high, high));
}

}  // namespace

int32_t apply_unary(Op op, const Attrs& a, int32_t x) {
    switch (op) {
        case Op::Relu: return std::max(x, 0);
        case Op::Abs: return wrap(std::abs(int64_t(x)));
        case Op::Negative: return wrap(-int64_t(x));
        case Op::CvmPrecision: return std::max(bit_length(uint64_t(std::abs(int64_t(x)))), 1);
        case Op::Clip: return int32_t(std::clamp<int64_t>(x, a.a_min, a.a_max));
        case Op::CvmClip: return limit_to(x, a.precision);
        case Op::CvmRightShift: {
            const int32_t half = x >> (a.shift_bit - 1);
            return limit_to((half >> 1) + (half & 1), a.precision);
        }
        case Op::CvmLeftShift: return limit_to(int64_t(x) * (int64_t(1) << a.shift_bit), a.precision);
        default: fail("not an operator of one tensor");
    }
}

int32_t apply_binary(Op op, int32_t a, int32_t b) {
    switch (op) {
        case Op::ElemwiseAdd: case Op::BroadcastAdd: return wrap(int64_t(a) + b);
        case Op::ElemwiseSub: case Op::BroadcastSub: return wrap(int64_t(a) - b);
        case Op::BroadcastMul: return wrap(int64_t(a) * b);
        case Op::BroadcastMax: return std::max(a, b);
        case Op::BroadcastDiv: return b == 0 ? 0 : wrap(int64_t(a) / b);
        case Op::BroadcastGreater: return a > b;
        default: fail("not an operator of two tensors");
    }
}

void evaluate_unary(Op op, const Attrs& attrs, const In& in, const Out& out, Meter& meter) {
    for (int64_t i = 0, count = elements(in.shape); i < count; ++i, meter.spend(2)) out.data[i] = apply_unary(op, attrs, in.data[i]);
}

void evaluate_binary(Op op, const std::vector<In>& in, const Out& out, Meter& meter) {
    const size_t rank = out.shape.size();
    // Element strides of both inputs along the axes of the output; 0 where an axis is broadcast.
    Shape strides[2];
    for (int k = 0; k < 2; ++k) {
        const Shape& shape = in[size_t(k)].shape;
        strides[k].assign(rank, 0);
        int64_t stride = 1;
        for (size_t i = shape.size(); i-- > 0;) {
            if (shape[i] > 1) strides[k][i + rank - shape.size()] = stride;
            stride *= shape[i];
        }
    }
    Shape index(rank, 0);
    int64_t a = 0, b = 0;
    for (int64_t i = 0, count = elements(out.shape); i < count; ++i, meter.spend(4)) {
        out.data[i] = apply_binary(op, in[0].data[a], in[1].data[b]);
        for (size_t axis = rank; axis-- > 0;) {
            a += strides[0][axis];
            b += strides[1][axis];
            if (++index[axis] < out.shape[axis]) break;
            a -= strides[0][axis] * out.shape[axis];
            b -= strides[1][axis] * out.shape[axis];
            index[axis] = 0;
        }
    }
}

}  // namespace cvm
