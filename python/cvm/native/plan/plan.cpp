#include "plan/plan.h"

#include "ops/infer.h"
#include "plan/arena.h"
#include "plan/lower.h"

namespace cvm {

std::unique_ptr<Plan> make_plan(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache,
                                Memory& memory, const Shape& data_shape, int threads, const Watch* watch) {
    Share passing(memory);  // while the plan is made
    const auto shapes = infer_all_shapes(graph, data_shape);
    const Ranges ranges = infer_ranges(graph, constants, shapes, passing, watch);
    const Grouping grouping(graph, constants, shapes, ranges, passing, watch);
    auto plan = std::make_unique<Plan>(memory);
    plan->input = data_shape;
    lower(graph, constants, kernels, cache, grouping, threads, watch, *plan);
    Arena arena = lay_out(plan->steps, plan->buffer_bytes);
    plan->buffer_offsets = std::move(arena.offsets);
    plan->arena_bytes = arena.bytes;
    return plan;
}

}  // namespace cvm
