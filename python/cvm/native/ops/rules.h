// What the table of operators is made of: the rules of a family are in the file of its name.
#pragma once

#include "ops/operator.h"

namespace cvm::rules {

using Arguments = std::vector<Known>;

// common.cpp: what many operators share
void no_attributes(AttributeReader& read, Attrs& a);
Shapes same_shape(const Attrs& a, const Shapes& in);
Precisions same_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range same_range(const Attrs& a, const Arguments& in, const Shape& out);    // channels stay where they are
Range moved_range(const Attrs& a, const Arguments& in, const Shape& out);   // values move, channels too
Range any_range(const Attrs& a, const Arguments& in, const Shape& out);     // left to the precision
Range hull(const Known* first, const Known* last);
bool always(const Attrs& a, const Arguments& in, const Shape& out);
bool none_constant(const Attrs& a, const Arguments& in, const Shape& out);
// In pieces that the meter sees.
void copy(int32_t* to, const int32_t* from, int64_t count, Meter& meter);
void fill(int32_t* to, int64_t count, int32_t value, Meter& meter);
constexpr int64_t kMaxWindow = 4096;
// Row y of an axis of `count` as index(y), for a picking; all of them as they are without an index.
std::vector<int32_t> numbered(int64_t count);
template <typename F>
std::vector<int32_t> numbered(int64_t count, F index) {
    std::vector<int32_t> numbers;
    for (int64_t i = 0; i < count; ++i) numbers.push_back(int32_t(index(i)));
    return numbers;
}
void check_within(const char* name, int64_t value, int64_t low, int64_t high);
void check_pair(const char* name, const Shape& values, int64_t low);

// conv.cpp: conv2d, dense
void conv_attributes(AttributeReader& read, Attrs& a);
void dense_attributes(AttributeReader& read, Attrs& a);
Shapes conv_shapes(const Attrs& a, const Shapes& in);
Shapes dense_shapes(const Attrs& a, const Shapes& in);
Precisions conv_precisions(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions dense_precisions(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range conv_range(const Attrs& a, const Arguments& in, const Shape& out);
Range dense_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_conv(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_dense(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
bool weights_constant(const Attrs& a, const Arguments& in, const Shape& out);
int64_t conv_charge(const Attrs& a, const Shapes& in, const Shape& out);
int64_t dense_charge(const Attrs& a, const Shapes& in, const Shape& out);

// spatial.cpp: max_pool2d, upsampling
void pool_attributes(AttributeReader& read, Attrs& a);
void upsampling_attributes(AttributeReader& read, Attrs& a);
Shapes pool_shapes(const Attrs& a, const Shapes& in);
Shapes upsampling_shapes(const Attrs& a, const Shapes& in);
void evaluate_pool(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_upsampling(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
std::optional<Picking> upsampling_picking(const Attrs& a, const Arguments& in, const Shape& out);
int64_t pool_charge(const Attrs& a, const Shapes& in, const Shape& out);

// elementwise.cpp: functions of one tensor, and of two tensors that broadcast (their scalars: elementwise.h)
void clip_attributes(AttributeReader& read, Attrs& a);
void precision_attributes(AttributeReader& read, Attrs& a);
void shift_attributes(AttributeReader& read, Attrs& a);
Shapes equal_shapes(const Attrs& a, const Shapes& in);
Shapes broadcast_shapes(const Attrs& a, const Shapes& in);
Precisions bits_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions clip_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions given_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions left_shift_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions sum_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions product_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions larger_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions greater_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range absolute_range(const Attrs& a, const Arguments& in, const Shape& out);
Range bits_range(const Attrs& a, const Arguments& in, const Shape& out);
Range negative_range(const Attrs& a, const Arguments& in, const Shape& out);
Range add_range(const Attrs& a, const Arguments& in, const Shape& out);
Range sub_range(const Attrs& a, const Arguments& in, const Shape& out);
Range mul_range(const Attrs& a, const Arguments& in, const Shape& out);
Range larger_range(const Attrs& a, const Arguments& in, const Shape& out);
Range div_range(const Attrs& a, const Arguments& in, const Shape& out);
Range greater_range(const Attrs& a, const Arguments& in, const Shape& out);
bool one_picture_constants(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Elementwise> relu_code(const Attrs& a);
std::optional<Elementwise> clip_code(const Attrs& a);
std::optional<Elementwise> cvm_clip_code(const Attrs& a);
std::optional<Elementwise> right_shift_code(const Attrs& a);
std::optional<Elementwise> left_shift_code(const Attrs& a);

// reduce.cpp: sum, max
void reduce_attributes(AttributeReader& read, Attrs& a);
Shapes reduce_shapes(const Attrs& a, const Shapes& in);
Precisions reduced_sum_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range reduced_sum_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_sum(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_max(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
bool batch_not_reduced(const Attrs& a, const Arguments& in, const Shape& out);
int64_t sum_charge(const Attrs& a, const Shapes& in, const Shape& out);

// reshape.cpp: reshape, squeeze, expand_dims, flatten
void reshape_attributes(AttributeReader& read, Attrs& a);
void expand_attributes(AttributeReader& read, Attrs& a);
Shapes reshape_shapes(const Attrs& a, const Shapes& in);
Shapes squeeze_shapes(const Attrs& a, const Shapes& in);
Shapes expand_shapes(const Attrs& a, const Shapes& in);
Shapes flatten_shapes(const Attrs& a, const Shapes& in);
Range reshape_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_copy(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);

// structural.cpp: operators that move values and change none
void concatenate_attributes(AttributeReader& read, Attrs& a);
void transpose_attributes(AttributeReader& read, Attrs& a);
void axes_attributes(AttributeReader& read, Attrs& a);  // squeeze, slice_like
void repeat_attributes(AttributeReader& read, Attrs& a);
void tile_attributes(AttributeReader& read, Attrs& a);
void slice_attributes(AttributeReader& read, Attrs& a);
Shapes concatenate_shapes(const Attrs& a, const Shapes& in);
Shapes transpose_shapes(const Attrs& a, const Shapes& in);
Shapes repeat_shapes(const Attrs& a, const Shapes& in);
Shapes tile_shapes(const Attrs& a, const Shapes& in);
Shapes slice_shapes(const Attrs& a, const Shapes& in);
Shapes slice_like_shapes(const Attrs& a, const Shapes& in);
Precisions largest_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range concatenate_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_concatenate(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_transpose(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_repeat(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_tile(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_slice(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_slice_like(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
bool concatenate_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool transpose_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool repeat_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool tile_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool slice_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool slice_like_separates(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Picking> repeat_picking(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Picking> tile_picking(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Picking> slice_picking(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Picking> slice_like_picking(const Attrs& a, const Arguments& in, const Shape& out);

// lookup.cpp: values chosen by other values
void take_attributes(AttributeReader& read, Attrs& a);
void lut_attributes(AttributeReader& read, Attrs& a);
Shapes take_shapes(const Attrs& a, const Shapes& in);
Shapes lut_shapes(const Attrs& a, const Shapes& in);
Shapes where_shapes(const Attrs& a, const Shapes& in);
Precisions lut_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions where_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range take_range(const Attrs& a, const Arguments& in, const Shape& out);
Range lut_range(const Attrs& a, const Arguments& in, const Shape& out);
Range where_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_take(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_lut(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_where(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
bool take_separates(const Attrs& a, const Arguments& in, const Shape& out);
bool lut_separates(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Elementwise> take_code(const Attrs& a);
std::optional<Picking> take_picking(const Attrs& a, const Arguments& in, const Shape& out);
std::optional<Elementwise> lut_code(const Attrs& a);

// detection.cpp: get_valid_counts, non_max_suppression
void counts_attributes(AttributeReader& read, Attrs& a);
void suppression_attributes(AttributeReader& read, Attrs& a);
Shapes counts_shapes(const Attrs& a, const Shapes& in);
Shapes suppression_shapes(const Attrs& a, const Shapes& in);
Precisions counts_precisions(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Precisions suppression_precision(const Attrs& a, const Precisions& p, const Shapes& in, const Shapes& out);
Range suppression_range(const Attrs& a, const Arguments& in, const Shape& out);
void evaluate_counts(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
void evaluate_suppression(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter);
int64_t suppression_charge(const Attrs& a, const Shapes& in, const Shape& out);
int64_t suppression_scratch(const Shapes& in);

}  // namespace cvm::rules
