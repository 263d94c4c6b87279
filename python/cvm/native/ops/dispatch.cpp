#include <algorithm>
#include <cstring>

#include "ops/reference.h"

namespace cvm {

void evaluate(Op op, const Attrs& attrs, const std::vector<In>& in, const std::vector<Out>& out, Meter& meter) {
    switch (op) {
        case Op::Conv2d: return evaluate_conv(attrs, in, out[0], meter);
        case Op::Dense: return evaluate_dense(in, out[0], meter);
        case Op::MaxPool2d: return evaluate_max_pool(attrs, in[0], out[0], meter);
        case Op::Upsampling: return evaluate_upsampling(attrs, in[0], out[0], meter);
        case Op::Relu: case Op::Abs: case Op::Negative: case Op::CvmPrecision: case Op::Clip: case Op::CvmClip:
        case Op::CvmRightShift: case Op::CvmLeftShift:
            return evaluate_unary(op, attrs, in[0], out[0], meter);
        case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
        case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater:
            return evaluate_binary(op, in, out[0], meter);
        case Op::Sum: case Op::Max: return evaluate_reduce(op, attrs, in[0], out[0], meter);
        case Op::Concatenate: case Op::Transpose: case Op::Reshape: case Op::Squeeze: case Op::ExpandDims:
        case Op::Flatten: case Op::Repeat: case Op::Tile: case Op::StridedSlice: case Op::SliceLike:
            return evaluate_structural(op, attrs, in, out[0], meter);
        case Op::Take: case Op::CvmLut: case Op::Where: return evaluate_lookup(op, attrs, in, out[0], meter);
        case Op::GetValidCounts: return evaluate_valid_counts(attrs, in[0], out[0], out[1], meter);
        case Op::NonMaxSuppression: return evaluate_nms(attrs, in, out[0], meter);
        case Op::Variable: break;
    }
    fail("a variable cannot be evaluated");
}

int64_t scratch_bytes(Op op, const std::vector<Shape>& inputs) {
    // The order of one picture's rows, twice while they are sorted.
    return op == Op::NonMaxSuppression ? inputs[0][1] * 2 * int64_t(sizeof(int64_t)) : 0;
}

void copy(int32_t* to, const int32_t* from, int64_t count, Meter& meter) {
    constexpr int64_t kPiece = int64_t(1) << 18;
    for (int64_t at = 0; at < count; at += kPiece) {
        const int64_t piece = std::min(kPiece, count - at);
        meter.spend(piece);
        std::memcpy(to + at, from + at, size_t(piece) * sizeof(int32_t));
    }
}

}  // namespace cvm
