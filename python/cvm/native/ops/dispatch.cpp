#include "ops/reference.h"

namespace cvm {

void evaluate(Op op, const Attrs& attrs, const std::vector<In>& in, const std::vector<Out>& out) {
    switch (op) {
        case Op::Conv2d: return evaluate_conv(attrs, in, out[0]);
        case Op::Dense: return evaluate_dense(in, out[0]);
        case Op::MaxPool2d: return evaluate_max_pool(attrs, in[0], out[0]);
        case Op::Upsampling: return evaluate_upsampling(attrs, in[0], out[0]);
        case Op::Relu: case Op::Abs: case Op::Negative: case Op::CvmPrecision: case Op::Clip: case Op::CvmClip:
        case Op::CvmRightShift: case Op::CvmLeftShift:
            return evaluate_unary(op, attrs, in[0], out[0]);
        case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
        case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater:
            return evaluate_binary(op, in, out[0]);
        case Op::Sum: case Op::Max: return evaluate_reduce(op, attrs, in[0], out[0]);
        case Op::Concatenate: case Op::Transpose: case Op::Reshape: case Op::Squeeze: case Op::ExpandDims:
        case Op::Flatten: case Op::Repeat: case Op::Tile: case Op::StridedSlice: case Op::SliceLike:
            return evaluate_structural(op, attrs, in, out[0]);
        case Op::Take: case Op::CvmLut: case Op::Where: return evaluate_lookup(op, attrs, in, out[0]);
        case Op::GetValidCounts: return evaluate_valid_counts(attrs, in[0], out[0], out[1]);
        case Op::NonMaxSuppression: return evaluate_nms(attrs, in, out[0]);
        case Op::Variable: break;
    }
    fail("a variable cannot be evaluated");
}

}  // namespace cvm
