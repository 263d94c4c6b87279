// The plan of a model for one input shape: steps in order, and one arena for every intermediate tensor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "exec/steps.h"
#include "plan/constants.h"

namespace cvm {

class PackCache;

struct Plan {
    explicit Plan(Memory& memory) : share(memory) {}

    std::vector<std::unique_ptr<Step>> steps;
    std::vector<int64_t> buffer_offsets, buffer_bytes;
    int64_t arena_bytes = 0;
    int64_t scratch_bytes = 0;   // that a task may take beside the arena
    int64_t constant_bytes = 0;
    Shape input;
    std::vector<Shape> outputs;
    Share share;                 // what the plan itself holds
};

// Plans the graph for an input shape. Throws Error where the graph cannot take it, LimitError, and what the watch throws.
std::unique_ptr<Plan> make_plan(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache,
                                Memory& memory, const Shape& data_shape, int threads, const Watch* watch);

// The plan as JSON: steps with what is fused in them, bytes and multiply-adds.
std::string describe(const Plan& plan, const Kernels& kernels);

}  // namespace cvm
