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

// `bias`: additions to the anchor's result that may move into its bias are added there (nullptr: not possible).
BuiltProgram build_program(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>* bias);

}  // namespace cvm
