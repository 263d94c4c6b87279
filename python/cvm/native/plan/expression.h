// The element-wise members of a group as values, each computed once, before they become a program or an ending.
#pragma once

#include <limits>

#include "plan/program.h"

namespace cvm {

using Vector = std::shared_ptr<const Aligned<int32_t>>;

// One value of the program, computed once.
struct Value {
    enum class Kind { Anchor, Instruction };
    Kind kind = Kind::Instruction;
    Code code = Code::Load;
    int a = -1, b = -1;
    int32_t shift = 0, lo = std::numeric_limits<int32_t>::min(), hi = std::numeric_limits<int32_t>::max();
    Vector constants;
    View operand;
    std::vector<View> stores;
    int uses = 0;
    int64_t most = -1;  // largest magnitude; of values that are entries
};

struct Expression {
    std::vector<Value> values;
    std::vector<int> order;  // of those that are needed
};

// Constants folded in, redundant clips dropped. Where `bias` is given, the constants that are added to the anchor move there.
Expression build_expression(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>* bias);

// One value per channel, padded as the channels are.
std::shared_ptr<Aligned<int32_t>> channel_constants(const ProgramInputs& inputs, const Group& group, int32_t value);

// The forms that the kernels end a convolution in without a program: see Ending. False where it has none of them.
bool fuse_ending(const ProgramInputs& inputs, const Group& group, const Expression& expression, bool depthwise, Ending& ending);

// A group whose only result lies between two pixels each: see Blend. False where it is more than that.
bool fuse_blending(const ProgramInputs& inputs, const Group& group, const Expression& expression, Blending& blending);

}  // namespace cvm
