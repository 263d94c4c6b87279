// Whether a batch may be run in parts.
#pragma once

#include "plan/constants.h"

namespace cvm {

// Whether the pictures of a batch never meet: every result for a picture depends on that picture alone, and lies at its
// place along the first axis. `whole` and `one`: the shapes of all entries at the batch size and at 1.
bool pictures_are_independent(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& whole,
                              const std::vector<std::vector<Shape>>& one, int64_t batch);

}  // namespace cvm
