// How much work a model is, by the reference's measure.
#pragma once

#include "graph/graph.h"

namespace cvm {

// What the reference charges for an operator, per element of its first output.
int64_t charge(const Node& node, const std::vector<Shape>& inputs, const Shape& output);

// The reference's operation count ("gas") of one run: charge times elements, over all operators, and five for every element
// of every entry. INT64_MAX where it is more. `shapes`: of every entry.
int64_t count_operations(const Graph& graph, const std::vector<std::vector<Shape>>& shapes);

}  // namespace cvm
