// Proven intervals for the values of every entry of a graph.
#pragma once

#include "ops/range.h"
#include "plan/constants.h"

namespace cvm {

using Ranges = std::vector<std::vector<Range>>;  // per node and output

// `share`: what the ranges take of the model's memory. `watch` may stop it.
Ranges infer_ranges(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes,
                    Share& share, const Watch* watch);

}  // namespace cvm
