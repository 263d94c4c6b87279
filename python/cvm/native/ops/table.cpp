// The table of operators, one row each, in the order of Op. The columns are those of Operator:
//   op, name, least and most inputs,
//   attributes, shapes, precisions,
//   range, scalar definition, whether the first axis stays apart,
//   form, element-wise instruction, picking of pixels, in place, charge, whether that bounds the work, scratch, number of outputs
#include "ops/elementwise.h"

namespace cvm {
namespace {

using namespace rules;

constexpr size_t kMany = 65536;

constexpr Operator kTable[] = {
    {Op::Variable, "variable", 0, 0,
     no_attributes, nullptr, nullptr,
     any_range, nullptr, always,
     Form::Input},

    {Op::Conv2d, "conv2d", 2, 3,
     conv_attributes, conv_shapes, conv_precisions,
     conv_range, evaluate_conv, weights_constant,
     Form::Conv, nullptr, nullptr, false, conv_charge},
    {Op::Dense, "dense", 2, 3,
     dense_attributes, dense_shapes, dense_precisions,
     dense_range, evaluate_dense, weights_constant,
     Form::Dense, nullptr, nullptr, false, dense_charge},
    {Op::MaxPool2d, "max_pool2d", 1, 1,
     pool_attributes, pool_shapes, same_precision,
     same_range, evaluate_pool, always,
     Form::MaxPool, nullptr, nullptr, false, pool_charge},
    {Op::Upsampling, "upsampling", 1, 1,
     upsampling_attributes, upsampling_shapes, same_precision,
     same_range, evaluate_upsampling, always,
     Form::Scalar, nullptr, upsampling_picking},

    {Op::Relu, "relu", 1, 1,
     no_attributes, same_shape, same_precision,
     rising_range<relu>, evaluate_each<relu>, always,
     Form::Scalar, relu_code, nullptr, true},
    {Op::Abs, "abs", 1, 1,
     no_attributes, same_shape, same_precision,
     absolute_range, evaluate_each<absolute>, always,
     Form::Scalar, plain_code<Code::Abs>, nullptr, true},
    {Op::Negative, "negative", 1, 1,
     no_attributes, same_shape, same_precision,
     negative_range, evaluate_each<negative>, always,
     Form::Scalar, plain_code<Code::Negative>},
    {Op::CvmPrecision, "cvm_precision", 1, 1,
     no_attributes, same_shape, bits_precision,
     bits_range, evaluate_each<bits>, always,
     Form::Scalar, nullptr, nullptr, true},
    {Op::Clip, "clip", 1, 1,
     clip_attributes, same_shape, clip_precision,
     rising_range<clip>, evaluate_each<clip>, always,
     Form::Scalar, clip_code, nullptr, true},
    {Op::CvmClip, "cvm_clip", 1, 1,
     precision_attributes, same_shape, given_precision,
     rising_range<cvm_clip>, evaluate_each<cvm_clip>, always,
     Form::Scalar, cvm_clip_code, nullptr, true},
    {Op::CvmRightShift, "cvm_right_shift", 1, 1,
     shift_attributes, same_shape, given_precision,
     rising_range<right_shift>, evaluate_each<right_shift>, always,
     Form::Scalar, right_shift_code, nullptr, true},
    {Op::CvmLeftShift, "cvm_left_shift", 1, 1,
     shift_attributes, same_shape, left_shift_precision,
     rising_range<left_shift>, evaluate_each<left_shift>, always,
     Form::Scalar, left_shift_code, nullptr, true},

    {Op::ElemwiseAdd, "elemwise_add", 2, 2,
     no_attributes, equal_shapes, sum_precision,
     add_range, evaluate_pairs<add>, one_picture_constants,
     Form::Scalar, plain_code<Code::Add>, nullptr, true},
    {Op::ElemwiseSub, "elemwise_sub", 2, 2,
     no_attributes, equal_shapes, sum_precision,
     sub_range, evaluate_pairs<sub>, one_picture_constants,
     Form::Scalar, plain_code<Code::Sub>, nullptr, true},
    {Op::BroadcastAdd, "broadcast_add", 2, 2,
     no_attributes, broadcast_shapes, sum_precision,
     add_range, evaluate_pairs<add>, one_picture_constants,
     Form::Scalar, plain_code<Code::Add>},
    {Op::BroadcastSub, "broadcast_sub", 2, 2,
     no_attributes, broadcast_shapes, sum_precision,
     sub_range, evaluate_pairs<sub>, one_picture_constants,
     Form::Scalar, plain_code<Code::Sub>},
    {Op::BroadcastMul, "broadcast_mul", 2, 2,
     no_attributes, broadcast_shapes, product_precision,
     mul_range, evaluate_pairs<mul>, one_picture_constants,
     Form::Scalar, plain_code<Code::Mul>},
    {Op::BroadcastMax, "broadcast_max", 2, 2,
     no_attributes, broadcast_shapes, larger_precision,
     larger_range, evaluate_pairs<larger>, one_picture_constants,
     Form::Scalar, plain_code<Code::Max>},
    {Op::BroadcastDiv, "broadcast_div", 2, 2,
     no_attributes, broadcast_shapes, same_precision,
     div_range, evaluate_pairs<div>, one_picture_constants,
     Form::Scalar, plain_code<Code::Div>},
    {Op::BroadcastGreater, "broadcast_greater", 2, 2,
     no_attributes, broadcast_shapes, greater_precision,
     greater_range, evaluate_pairs<greater>, one_picture_constants,
     Form::Scalar, plain_code<Code::Greater>},

    {Op::Sum, "sum", 1, 1,
     reduce_attributes, reduce_shapes, reduced_sum_precision,
     reduced_sum_range, evaluate_sum, batch_not_reduced,
     Form::Sum, nullptr, nullptr, false, sum_charge},
    {Op::Max, "max", 1, 1,
     reduce_attributes, reduce_shapes, same_precision,
     moved_range, evaluate_max, batch_not_reduced,
     Form::Max},

    {Op::Concatenate, "concatenate", 1, kMany,
     concatenate_attributes, concatenate_shapes, largest_precision,
     concatenate_range, evaluate_concatenate, concatenate_separates,
     Form::Concatenate},
    {Op::Transpose, "transpose", 1, 1,
     transpose_attributes, transpose_shapes, same_precision,
     moved_range, evaluate_transpose, transpose_separates,
     Form::Transpose},
    {Op::Reshape, "reshape", 1, 1,
     reshape_attributes, reshape_shapes, same_precision,
     reshape_range, evaluate_copy, always,
     Form::Reshape, nullptr, nullptr, true},
    {Op::Squeeze, "squeeze", 1, 1,
     axes_attributes, squeeze_shapes, same_precision,
     reshape_range, evaluate_copy, always,
     Form::Reshape, nullptr, nullptr, true},
    {Op::ExpandDims, "expand_dims", 1, 1,
     expand_attributes, expand_shapes, same_precision,
     reshape_range, evaluate_copy, always,
     Form::Reshape, nullptr, nullptr, true},
    {Op::Flatten, "flatten", 1, 1,
     no_attributes, flatten_shapes, same_precision,
     reshape_range, evaluate_copy, always,
     Form::Reshape, nullptr, nullptr, true},
    {Op::Repeat, "repeat", 1, 1,
     repeat_attributes, repeat_shapes, same_precision,
     moved_range, evaluate_repeat, repeat_separates,
     Form::Scalar, nullptr, repeat_picking},
    {Op::Tile, "tile", 1, 1,
     tile_attributes, tile_shapes, same_precision,
     moved_range, evaluate_tile, tile_separates,
     Form::Scalar, nullptr, tile_picking},
    {Op::StridedSlice, "strided_slice", 1, 1,
     slice_attributes, slice_shapes, same_precision,
     moved_range, evaluate_slice, slice_separates,
     Form::Scalar, nullptr, slice_picking},
    {Op::SliceLike, "slice_like", 2, 2,
     axes_attributes, slice_like_shapes, same_precision,
     moved_range, evaluate_slice_like, slice_like_separates,
     Form::Scalar, nullptr, slice_like_picking},

    {Op::Take, "take", 2, 2,
     take_attributes, take_shapes, same_precision,
     take_range, evaluate_take, take_separates,
     Form::Scalar, take_code, take_picking},
    {Op::CvmLut, "cvm_lut", 2, 2,
     lut_attributes, lut_shapes, lut_precision,
     lut_range, evaluate_lut, lut_separates,
     Form::Scalar, lut_code},
    {Op::Where, "where", 3, 3,
     no_attributes, where_shapes, where_precision,
     where_range, evaluate_where, none_constant},

    {Op::GetValidCounts, "get_valid_counts", 1, 1,
     counts_attributes, counts_shapes, counts_precisions,
     any_range, evaluate_counts, always,
     Form::Scalar, nullptr, nullptr, false, nullptr, true, nullptr, 2},
    {Op::NonMaxSuppression, "non_max_suppression", 2, 2,
     suppression_attributes, suppression_shapes, suppression_precision,
     suppression_range, evaluate_suppression, none_constant,
     Form::Scalar, nullptr, nullptr, false, suppression_charge, false, suppression_scratch},
};

constexpr bool in_order() {
    size_t i = 0;
    for (const Operator& row : kTable)
        if (size_t(row.op) != i++) return false;
    return i == size_t(Op::NonMaxSuppression) + 1;
}
static_assert(in_order());

}  // namespace

const Operator& operator_of(Op op) { return kTable[size_t(op)]; }

const Operator* find_operator(const std::string& name) {
    for (const Operator& row : kTable)
        if (row.op != Op::Variable && name == row.name) return &row;
    return nullptr;
}

}  // namespace cvm
