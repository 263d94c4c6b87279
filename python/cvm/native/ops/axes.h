// Axis arithmetic shared by the rules of the operators. All functions throw Error for illegal attributes.
#pragma once

#include "graph/graph.h"

namespace cvm {

// A possibly negative axis as an index below rank.
int64_t resolve_axis(int64_t axis, int64_t rank);

// For every axis of a sum or max: whether it is reduced.
std::vector<bool> reduced_axes(const Attrs& attrs, int64_t rank);

// The permutation of a transpose.
std::vector<int64_t> permutation(const Attrs& attrs, int64_t rank);

struct Slice {
    int64_t start, step, count;
};

// One slice per axis, for strided_slice and slice_like.
std::vector<Slice> strided_slices(const Attrs& attrs, const Shape& shape);
std::vector<Slice> like_slices(const Attrs& attrs, const Shape& shape, const Shape& like);

}  // namespace cvm
