// Builds the element-wise program of a group: constants folded in, redundant clips dropped, registers assigned.
#pragma once

#include <functional>
#include <variant>

#include "exec/row_step.h"
#include "plan/groups.h"

namespace cvm {

struct ProgramInputs {
    const Graph& graph;
    const Constants& constants;
    const Grouping& grouping;
    std::function<View(Entry)> load;            // an operand from outside of the group
    std::function<View(Entry)> store;           // the place of a result
    std::function<View(const Tensor&, const Grid&)> constant_map;
    Share& share;  // of the plan
    const Tile& tile;
};

// The program of a group that is not a convolution.
Epilogue build_program(const ProgramInputs& inputs, const Group& group);

// The same of a group without an operator in front, or what it is shorter.
std::variant<Epilogue, Blending> build_blending(const ProgramInputs& inputs, const Group& group);

// What follows a convolution. Constant additions to its result move into `bias`; a depthwise convolution has no
// joint ending.
Ending build_ending(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>& bias, bool depthwise);

}  // namespace cvm
