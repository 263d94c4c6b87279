// Scalar evaluation of every operator on row-major int32 tensors: the oracle of the kernels, the folder of
// constants, and what runs wherever no kernel applies.
#pragma once

#include "graph/graph.h"

namespace cvm {

struct In {
    const int32_t* data;
    const Shape& shape;
};

struct Out {
    int32_t* data;
    const Shape& shape;
};

// Evaluates one operator. Shapes must be those of infer_shapes.
void evaluate(Op op, const Attrs& attrs, const std::vector<In>& in, const std::vector<Out>& out);

// The families, one file each.
void evaluate_conv(const Attrs& attrs, const std::vector<In>& in, const Out& out);
void evaluate_dense(const std::vector<In>& in, const Out& out);
void evaluate_max_pool(const Attrs& attrs, const In& in, const Out& out);
void evaluate_upsampling(const Attrs& attrs, const In& in, const Out& out);
void evaluate_unary(Op op, const Attrs& attrs, const In& in, const Out& out);
void evaluate_binary(Op op, const std::vector<In>& in, const Out& out);
void evaluate_reduce(Op op, const Attrs& attrs, const In& in, const Out& out);
void evaluate_structural(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out);
void evaluate_lookup(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out);
void evaluate_valid_counts(const Attrs& attrs, const In& in, const Out& counts, const Out& rows);
void evaluate_nms(const Attrs& attrs, const std::vector<In>& in, const Out& out);

// Scalar arithmetic of the specification, on int32 that wraps.
inline int32_t wrap(int64_t value) { return int32_t(uint32_t(uint64_t(value))); }
int32_t apply_unary(Op op, const Attrs& attrs, int32_t x);
int32_t apply_binary(Op op, int32_t a, int32_t b);

}  // namespace cvm
