// Builds the element-wise program of a group: constants folded in, redundant clips dropped, registers assigned.
#pragma once

#include <functional>

#include "plan/groups.h"

namespace cvm {

struct BuiltProgram {
    Epilogue epilogue;
    // Where the program is requantization of a convolution's result to one U8 tensor:
    bool fused = false;
    Requantize requantize{};
    std::shared_ptr<const std::vector<int32_t>> multiplier;
    View out;
};

struct ProgramInputs {
    const Graph& graph;
    const Constants& constants;
    const Grouping& grouping;
    std::function<View(Entry)> load;            // an operand from outside of the group
    std::function<View(Entry)> store;           // the place of a result
    std::function<View(const Tensor&, const Grid&)> constant_map;
};

// `bias`: of a convolution; constant additions to its result move into it, and requantization may be fused. nullptr
// for other groups.
BuiltProgram build_program(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>* bias);

}  // namespace cvm
