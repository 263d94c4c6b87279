// The plan of a model for one input shape: steps in order, and one arena for every intermediate tensor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/pack.h"
#include "plan/range.h"
#include "runtime/steps.h"

namespace cvm {

struct Plan {
    std::vector<std::unique_ptr<Step>> steps;
    std::vector<int64_t> buffer_offsets, buffer_bytes;
    int64_t arena_bytes = 0;
    int64_t constant_bytes = 0;
    int max_tasks = 1;
    Shape input;
    std::vector<Shape> outputs;
};

// Packed weights, shared by the plans of one model for different batch sizes.
struct PackCache;
std::shared_ptr<PackCache> make_pack_cache();

// Plans the graph for an input shape. Throws Error where the graph cannot take it.
std::unique_ptr<Plan> make_plan(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache,
                                const Shape& data_shape, int threads);

// The plan as JSON: steps with what is fused in them, bytes and multiply-adds.
std::string describe(const Plan& plan, const Kernels& kernels);

}  // namespace cvm
