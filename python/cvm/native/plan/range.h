// Proven intervals for the values of every entry, per channel (axis 1) where that is known.
#pragma once

#include <vector>

#include "plan/constants.h"

namespace cvm {

struct Range {
    std::vector<int64_t> lo, hi;  // one value for the whole tensor, or one per channel

    int64_t min() const;
    int64_t max() const;
    int64_t low(int64_t channel) const { return lo[lo.size() > 1 ? size_t(channel) : 0]; }
    int64_t high(int64_t channel) const { return hi[hi.size() > 1 ? size_t(channel) : 0]; }
    bool within(int64_t low, int64_t high) const { return min() >= low && max() <= high; }
};

using Ranges = std::vector<std::vector<Range>>;  // per node and output

// `share`: what the ranges take of the model's memory. `watch` may stop it.
Ranges infer_ranges(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes,
                    Share& share, const Watch* watch);

}  // namespace cvm
