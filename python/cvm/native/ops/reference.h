// Scalar evaluation of every operator on row-major int32 tensors: the oracle of the kernels, the folder of
// constants, and what runs wherever no kernel applies.
#pragma once

#include "base/limits.h"
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

// Evaluates one operator. Shapes must be those of infer_shapes. Every loop that can be long reports to the meter, which may
// throw.
void evaluate(Op op, const Attrs& attrs, const std::vector<In>& in, const std::vector<Out>& out, Meter& meter);

// The families, one file each.
void evaluate_conv(const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter);
void evaluate_dense(const std::vector<In>& in, const Out& out, Meter& meter);
void evaluate_max_pool(const Attrs& attrs, const In& in, const Out& out, Meter& meter);
void evaluate_upsampling(const Attrs& attrs, const In& in, const Out& out, Meter& meter);
void evaluate_unary(Op op, const Attrs& attrs, const In& in, const Out& out, Meter& meter);
void evaluate_binary(Op op, const std::vector<In>& in, const Out& out, Meter& meter);
void evaluate_reduce(Op op, const Attrs& attrs, const In& in, const Out& out, Meter& meter);
void evaluate_structural(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter);
void evaluate_lookup(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter);
void evaluate_valid_counts(const Attrs& attrs, const In& in, const Out& counts, const Out& rows, Meter& meter);
void evaluate_nms(const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter);

// Bytes that evaluate() takes for itself beside its inputs and outputs.
int64_t scratch_bytes(Op op, const std::vector<Shape>& inputs);

// memcpy of values, in pieces that the meter sees.
void copy(int32_t* to, const int32_t* from, int64_t count, Meter& meter);

// Scalar arithmetic of the specification, on int32 that wraps.
inline int32_t wrap(int64_t value) { return int32_t(uint32_t(uint64_t(value))); }
int32_t apply_unary(Op op, const Attrs& attrs, int32_t x);
int32_t apply_binary(Op op, int32_t a, int32_t b);

}  // namespace cvm
