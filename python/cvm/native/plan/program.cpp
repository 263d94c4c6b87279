#include "plan/program.h"

#include <algorithm>

#include "plan/expression.h"

namespace cvm {
namespace {

// Assigns registers: the program of the values.
Epilogue assign(const Expression& expression) {
    Epilogue epilogue;
    std::map<int, int> last_use;
    for (int id : expression.order) {
        const Value& value = expression.values[size_t(id)];
        last_use[id] = std::max(last_use[id], id);
        if (value.a >= 0) last_use[value.a] = id;
        if (value.b >= 0) last_use[value.b] = id;
    }
    std::vector<int> holder(size_t(kMaxRegisters), -1);
    std::map<int, int> reg;
    const auto release = [&](int until) {
        for (int& held : holder)
            if (held >= 0 && last_use[held] <= until) held = -1;
    };
    for (int id : expression.order) {
        const Value& value = expression.values[size_t(id)];
        Instruction in{};
        if (value.a >= 0) in.a = uint8_t(reg.at(value.a));
        if (value.b >= 0) in.b = uint8_t(reg.at(value.b));
        release(id);
        const auto free = std::find(holder.begin(), holder.end(), -1);
        if (free == holder.end()) fail("internal: an element-wise program needs too many registers");
        *free = id;
        reg[id] = int(free - holder.begin());
        in.dst = uint8_t(reg[id]);
        if (value.kind == Value::Kind::Anchor) {
            epilogue.input = in.dst;
        } else {
            in.code = value.code;
            in.shift = value.shift;
            in.lo = value.lo;
            in.hi = value.hi;
            if (value.constants) {
                in.constants = value.constants->data();
                epilogue.constants.push_back(value.constants);
            }
            if (value.code == Code::Load) {
                in.operand = int32_t(epilogue.operands.size());
                epilogue.operands.push_back(value.operand);
            }
            epilogue.code.push_back(in);
        }
        for (const View& view : value.stores) {
            Instruction store{};
            store.code = Code::Store;
            store.a = uint8_t(reg[id]);
            store.operand = int32_t(epilogue.operands.size());
            epilogue.operands.push_back(view);
            epilogue.code.push_back(store);
        }
    }
    return epilogue;
}

}  // namespace

Epilogue build_program(const ProgramInputs& inputs, const Group& group) {
    return assign(build_expression(inputs, group, nullptr));
}

std::variant<Epilogue, Blending> build_blending(const ProgramInputs& inputs, const Group& group) {
    const Expression expression = build_expression(inputs, group, nullptr);
    Blending blending;
    if (fuse_blending(inputs, group, expression, blending)) return blending;
    return assign(expression);
}

Ending build_ending(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>& bias, bool depthwise) {
    const Expression expression = build_expression(inputs, group, &bias);
    Ending ending;
    if (fuse_ending(inputs, group, expression, depthwise, ending)) return ending;
    ending = Ending();
    ending.epilogue = assign(expression);
    return ending;
}

}  // namespace cvm
