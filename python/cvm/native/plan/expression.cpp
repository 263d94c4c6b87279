#include "plan/expression.h"

#include <algorithm>

#include "ops/operator.h"

namespace cvm {
namespace {

constexpr int32_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();

class Builder {
public:
    Builder(const ProgramInputs& in, const Group& group) : in_(in), group_(group) {}

    Expression build(std::vector<int64_t>* bias) {
        compute_all();
        if (bias) fold_bias(*bias);
        drop_unused();
        return {std::move(values_), std::move(order_)};
    }

private:
    void compute_all() {
        if (group_.node >= 0) {
            Value anchor;
            anchor.kind = Value::Kind::Anchor;
            values_.push_back(anchor);
            finish({group_.node, 0}, 0);
        }
        for (int member : group_.members) finish({member, 0}, member == group_.absorbed ? 0 : compute(member));
        count_uses();
        merge_clips();
    }

    // Names the value of an entry and notes where it has to be stored.
    void finish(Entry entry, int value) {
        of_entry_[entry] = value;
        if (values_[size_t(value)].kind == Value::Kind::Anchor || values_[size_t(value)].most < 0)
            values_[size_t(value)].most = std::max(std::abs(range(entry).min()), std::abs(range(entry).max()));
        if (in_.grouping.stored(entry)) values_[size_t(value)].stores.push_back(in_.store(entry));
    }

    int push(Value value) {
        values_.push_back(std::move(value));
        return int(values_.size()) - 1;
    }

    // Constants per channel, or nothing where the tensor varies along other axes.
    Vector per_channel(const Tensor& tensor, const Shape& out) const {
        const size_t lead = out.size() - tensor.shape.size();
        int64_t channels = 1;
        for (size_t i = 0; i < tensor.shape.size(); ++i) {
            if (tensor.shape[i] == 1) continue;
            if (i + lead != 1) return nullptr;
            channels = tensor.shape[i];
        }
        auto vector = channel_constants(in_, group_, 0);
        for (int64_t c = 0; c < int64_t(vector->size()); ++c)
            if (channels == 1 || c < group_.grid.c) (*vector)[size_t(c)] = tensor.at(channels > 1 ? c : 0);
        return vector;
    }

    int operand(Entry entry, const Shape& out) {
        if (const Tensor* tensor = in_.constants.find(entry)) {
            Value value;
            value.constants = per_channel(*tensor, out);
            value.code = value.constants ? Code::Const : Code::Load;
            if (!value.constants) {
                Grid grid{1, 1, 1, 1};
                int64_t* dims[] = {&grid.n, &grid.c, &grid.h, &grid.w};
                const size_t lead = out.size() - tensor->shape.size();
                for (size_t i = 0; i < tensor->shape.size(); ++i) *dims[i + lead] = tensor->shape[i];
                value.operand = broadcast(in_.constant_map(*tensor, grid));
            }
            return push(value);
        }
        entry = in_.grouping.resolve(entry);
        const auto found = of_entry_.find(entry);
        if (found != of_entry_.end()) return found->second;
        Value value;
        value.code = Code::Load;
        value.operand = broadcast(in_.load(entry));
        const int id = push(value);
        of_entry_[entry] = id;
        return id;
    }

    View broadcast(View view) const {
        const Grid& g = group_.grid;
        if (view.n == 1 && g.n > 1) view.sn = 0;
        if (view.h == 1 && g.h > 1) view.sy = 0;
        if (view.w == 1 && g.w > 1) view.sx = 0;
        view.splat = view.c == 1 && g.c > 1;
        return view;
    }

    const Range& range(Entry entry) const { return in_.grouping.range(entry); }

    int clip(int a, int64_t lo, int64_t hi, Entry before) {
        if (!in_.constants.find(before) && range(before).within(lo, hi)) return a;
        Value value;
        value.code = Code::Clip;
        value.a = a;
        value.lo = int32_t(std::max<int64_t>(lo, kMin));
        value.hi = int32_t(std::min<int64_t>(hi, kMax));
        return push(value);
    }

    int compute(int member) {
        const Node& node = in_.graph.nodes[size_t(member)];
        const Shape& out = in_.grouping.shape({member, 0});
        const Attrs& attrs = node.attrs;
        const Entry first = node.inputs[0];
        const Elementwise kernel = *operator_of(node.op).elementwise(attrs);
        if (kernel.code == Code::Clip) return clip(operand(first, out), kernel.lo, kernel.hi, first);
        if (kernel.code == Code::Lut) return look_up(node, kernel, out);
        if (node.inputs.size() == 2) return binary(node, kernel.code, out);
        Value value;
        value.code = kernel.code;
        value.a = operand(first, out);
        value.shift = kernel.shift;
        value.lo = int32_t(kernel.lo);
        value.hi = int32_t(kernel.hi);
        return push(value);
    }

    int look_up(const Node& node, const Elementwise& kernel, const Shape& out) {
        Value value;
        value.code = Code::Lut;
        value.a = operand(node.inputs[kernel.value], out);
        const Tensor& entries = *in_.constants.find(node.inputs[kernel.table]);
        in_.share.take(entries.size() * 4, "a table");
        auto table = std::make_shared<Aligned<int32_t>>(size_t(entries.size()));
        for (int64_t i = 0; i < entries.size(); ++i) (*table)[size_t(i)] = entries.at(i);
        value.hi = int32_t(table->size()) - 1;
        value.constants = table;
        return push(value);
    }

    int binary(const Node& node, Code code, const Shape& out) {
        Value value;
        value.code = code;
        value.a = operand(node.inputs[0], out);
        value.b = operand(node.inputs[1], out);
        // A constant second operand of +, - and * becomes part of the instruction.
        const auto is_const = [&](int v) { return values_[size_t(v)].code == Code::Const && values_[size_t(v)].kind == Value::Kind::Instruction; };
        if ((value.code == Code::Add || value.code == Code::Mul) && is_const(value.a)) std::swap(value.a, value.b);
        if (is_const(value.b) && !is_const(value.a)) {
            Vector constants = values_[size_t(value.b)].constants;
            if (value.code == Code::Sub) {
                auto negated = channel_constants(in_, group_, 0);
                for (size_t c = 0; c < negated->size(); ++c) (*negated)[c] = wrap(-int64_t((*constants)[c]));
                constants = negated;
                value.code = Code::Add;
            }
            if (value.code == Code::Add || value.code == Code::Mul) {
                const int32_t neutral = value.code == Code::Mul ? 1 : 0;
                const auto channels = constants->begin() + group_.grid.c;
                if (std::all_of(constants->begin(), channels, [&](int32_t v) { return v == neutral; })) return value.a;
                value.code = value.code == Code::Mul ? Code::MulConst : Code::AddConst;
                value.b = -1;
                value.constants = constants;
            }
        }
        return push(value);
    }

    void count_uses() {
        for (Value& value : values_) value.uses = int(value.stores.size());
        // Backwards, so that what nobody uses does not count as a user.
        for (size_t i = values_.size(); i-- > 0;) {
            if (!values_[i].uses) continue;
            if (values_[i].a >= 0) ++values_[size_t(values_[i].a)].uses;
            if (values_[i].b >= 0) ++values_[size_t(values_[i].b)].uses;
        }
    }

    // A clip of a clipped value that nobody else uses: one clip to the image of both.
    void merge_clips() {
        for (Value& value : values_) {
            if (value.code != Code::Clip || !value.uses) continue;
            Value& before = values_[size_t(value.a)];
            const bool clips = before.kind == Value::Kind::Instruction &&
                               (before.code == Code::Clip || before.code == Code::Shift || before.code == Code::LeftShift);
            if (!clips || before.uses != 1) continue;
            const int32_t lo = std::clamp(before.lo, value.lo, value.hi), hi = std::clamp(before.hi, value.lo, value.hi);
            const std::vector<View> stores = value.stores;
            const int uses = value.uses;
            value = before;
            value.lo = lo;
            value.hi = hi;
            value.stores = stores;
            value.uses = uses;
            before.uses = 0;
        }
    }

    void fold_bias(std::vector<int64_t>& bias) {
        for (size_t i = 1; i < values_.size(); ++i) {
            Value& value = values_[i];
            if (value.code != Code::AddConst || value.a != 0 || !value.uses || values_[0].uses != 1) continue;
            for (size_t c = 0; c < bias.size(); ++c) bias[c] += (*value.constants)[c];
            // The anchor now holds this value.
            values_[0].stores = value.stores;
            values_[0].uses = value.uses;
            values_[0].most = value.most;
            value.uses = 0;
            for (Value& user : values_) {
                if (user.a == int(i)) user.a = 0;
                if (user.b == int(i)) user.b = 0;
            }
            return;
        }
    }

    void drop_unused() {
        order_.clear();
        for (size_t i = 0; i < values_.size(); ++i)
            if (values_[i].uses) order_.push_back(int(i));
    }

    const ProgramInputs& in_;
    const Group& group_;
    std::vector<Value> values_;
    std::vector<int> order_;
    std::map<Entry, int> of_entry_;
};

}  // namespace

std::shared_ptr<Aligned<int32_t>> channel_constants(const ProgramInputs& inputs, const Group& group, int32_t value) {
    // Of one channel, as many as a tile has: pixels may be taken for channels.
    const int64_t count = group.grid.c == 1 ? inputs.tile.width : round_up(group.grid.c, int64_t(inputs.tile.lanes));
    inputs.share.take(count * 4, "constants of an element-wise program");
    return std::make_shared<Aligned<int32_t>>(size_t(count), value);
}

Expression build_expression(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>* bias) {
    return Builder(inputs, group).build(bias);
}

}  // namespace cvm
