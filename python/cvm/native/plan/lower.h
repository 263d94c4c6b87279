// Turns groups into steps.
#pragma once

#include "plan/cache.h"
#include "plan/placing.h"

namespace cvm {

// Appends the steps of all live groups and of the heads to the plan. `watch` may stop it.
void lower(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Grouping& grouping,
           int threads, const Watch* watch, Plan& plan);

}  // namespace cvm
