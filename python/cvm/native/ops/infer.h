// What follows from the rules of the operators, for one of them and for a whole graph.
#pragma once

#include "ops/operator.h"

namespace cvm {

// Parses the attribute strings of an operator. Throws Error: unknown, missing or malformed attribute.
Attrs parse_attributes(const Operator& op, const AttributeMap& attributes);

// Shapes of the outputs. Throws Error for everything that the format forbids.
Shapes infer_shapes(const Operator& op, const Attrs& attrs, const Shapes& in);

// Shapes of every entry when `data` has the given shape. Throws Error naming the node.
std::vector<Shapes> infer_all_shapes(const Graph& graph, const Shape& data_shape);

// What the reference charges for an operator, per element of its first output.
int64_t charge(const Node& node, const Shapes& in, const Shape& out);

// The reference's operation count ("gas") of one run: charge times elements, over all operators, and five for every element
// of every entry. INT64_MAX where it is more. `shapes`: of every entry.
int64_t count_operations(const Graph& graph, const std::vector<Shapes>& shapes);

}  // namespace cvm
