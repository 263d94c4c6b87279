#include "plan/program.h"

#include <algorithm>
#include <limits>

#include "ops/reference.h"

namespace cvm {
namespace {

constexpr int32_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();

using Vector = std::shared_ptr<const Aligned<int32_t>>;

// One value of the program, computed once.
struct Value {
    enum class Kind { Anchor, Instruction };
    Kind kind = Kind::Instruction;
    Code code = Code::Load;
    int a = -1, b = -1;
    int32_t shift = 0, lo = kMin, hi = kMax;
    Vector constants;
    View operand;
    std::vector<View> stores;
    int uses = 0;
    int64_t most = -1;  // largest magnitude; of values that are entries
};

class Builder {
public:
    Builder(const ProgramInputs& in, const Group& group) : in_(in), group_(group) {}

    Epilogue program() {
        compute_all();
        drop_unused();
        Epilogue epilogue;
        assign(epilogue);
        return epilogue;
    }

    Ending ending(std::vector<int64_t>& bias, bool depthwise) {
        compute_all();
        fold_bias(bias);
        drop_unused();
        Ending ending;
        if (!fuse(ending, depthwise)) {
            ending = Ending();
            assign(ending.epilogue);
        }
        return ending;
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

    // One value per channel, padded as the channels are.
    std::shared_ptr<Aligned<int32_t>> channel_constants(int32_t value) const {
        const int64_t count = round_up(group_.grid.c, in_.lanes);
        in_.share.take(count * 4, "constants of an element-wise program");
        return std::make_shared<Aligned<int32_t>>(size_t(count), value);
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
        auto vector = channel_constants(0);
        for (int64_t c = 0; c < group_.grid.c; ++c) (*vector)[size_t(c)] = tensor.at(channels > 1 ? c : 0);
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
        Value value;
        switch (node.op) {
            case Op::Relu: return clip(operand(first, out), 0, kMax, first);
            case Op::Clip: return clip(operand(first, out), attrs.a_min, attrs.a_max, first);
            case Op::CvmClip: return clip(operand(first, out), -magnitude(attrs.precision), magnitude(attrs.precision), first);
            case Op::Abs: case Op::Negative:
                value.code = node.op == Op::Abs ? Code::Abs : Code::Negative;
                value.a = operand(first, out);
                return push(value);
            case Op::CvmRightShift: case Op::CvmLeftShift:
                value.code = node.op == Op::CvmRightShift ? Code::Shift : Code::LeftShift;
                value.a = operand(first, out);
                value.shift = attrs.shift_bit;
                value.hi = int32_t(magnitude(attrs.precision));
                value.lo = -value.hi;
                return push(value);
            case Op::CvmLut: case Op::Take: {
                const bool lut = node.op == Op::CvmLut;
                value.code = Code::Lut;
                value.a = operand(node.inputs[lut ? 0 : 1], out);
                const Tensor& entries = *in_.constants.find(node.inputs[lut ? 1 : 0]);
                in_.share.take(entries.size() * 4, "a table");
                auto table = std::make_shared<Aligned<int32_t>>(size_t(entries.size()));
                for (int64_t i = 0; i < entries.size(); ++i) (*table)[size_t(i)] = entries.at(i);
                value.hi = int32_t(table->size()) - 1;
                value.constants = table;
                return push(value);
            }
            default: return binary(node, out);
        }
    }

    int binary(const Node& node, const Shape& out) {
        static const std::map<Op, Code> codes = {
            {Op::ElemwiseAdd, Code::Add}, {Op::BroadcastAdd, Code::Add}, {Op::ElemwiseSub, Code::Sub},
            {Op::BroadcastSub, Code::Sub}, {Op::BroadcastMul, Code::Mul}, {Op::BroadcastMax, Code::Max},
            {Op::BroadcastDiv, Code::Div}, {Op::BroadcastGreater, Code::Greater},
        };
        Value value;
        value.code = codes.at(node.op);
        value.a = operand(node.inputs[0], out);
        value.b = operand(node.inputs[1], out);
        // A constant second operand of +, - and * becomes part of the instruction.
        const auto is_const = [&](int v) { return values_[size_t(v)].code == Code::Const && values_[size_t(v)].kind == Value::Kind::Instruction; };
        if ((value.code == Code::Add || value.code == Code::Mul) && is_const(value.a)) std::swap(value.a, value.b);
        if (is_const(value.b) && !is_const(value.a)) {
            Vector constants = values_[size_t(value.b)].constants;
            if (value.code == Code::Sub) {
                auto negated = channel_constants(0);
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

    // Walks the values in order while each is the only user of the one before.
    class Chain {
    public:
        Chain(const std::vector<Value>& values, const std::vector<int>& order) : values_(values), order_(order) {}

        const Value* current() const { return at_ ? &values_[size_t(order_[at_ - 1])] : nullptr; }
        bool done() const { return at_ == order_.size(); }
        void advance() { ++at_; }
        // The next value, if it is made from the current one and nothing else is.
        const Value* next() const {
            if (done()) return nullptr;
            const Value& value = values_[size_t(order_[at_])];
            if (!at_) return &value;
            const int now = order_[at_ - 1];
            const bool alone = values_[size_t(now)].uses == int(values_[size_t(now)].stores.size()) + 1;
            return alone && value.a == now && value.b < 0 ? &value : nullptr;
        }
        // A load that the value after it adds to the current one.
        const Value* loaded_before_add() const {
            if (at_ + 1 >= order_.size()) return nullptr;
            const Value& load = values_[size_t(order_[at_])];
            const Value& sum = values_[size_t(order_[at_ + 1])];
            const int now = order_[at_ - 1], other = order_[at_];
            const bool adds = sum.code == Code::Add && ((sum.a == now && sum.b == other) || (sum.b == now && sum.a == other));
            const bool alone = load.code == Code::Load && load.uses == 1 && values_[size_t(now)].uses == 1;
            return adds && alone ? &load : nullptr;
        }

    private:
        const std::vector<Value>& values_;
        const std::vector<int>& order_;
        size_t at_ = 0;
    };

    // [* constants] [+ constants] [shift or clip] as an affine function; only the value that it starts from may be
    // stored. False where the rounding could overflow.
    bool take_affine(Chain& chain, Affine& affine, std::vector<Vector>& kept) const {
        affine = {nullptr, nullptr, 0, kMin, kMax};
        const Value* start = chain.current();
        const auto unstored = [&] { return chain.current() == start || chain.current()->stores.empty(); };
        Vector addend;
        const Value* value = chain.next();
        if (value && unstored() && value->code == Code::MulConst) {
            kept.push_back(value->constants);
            affine.multiplier = value->constants->data();
            chain.advance();
            value = chain.next();
        }
        if (value && unstored() && value->code == Code::AddConst) {
            addend = value->constants;
            chain.advance();
            value = chain.next();
        }
        if (value && unstored() && (value->code == Code::Shift || value->code == Code::Clip)) {
            if (value->code == Code::Shift) {
                const int64_t most = chain.current()->most, half = int64_t(1) << (value->shift - 1);
                if (most < 0 || value->shift > 30 || most + half > kMax) return false;
                auto rounded = channel_constants(int32_t(half));
                if (addend)
                    for (size_t c = 0; c < rounded->size(); ++c) (*rounded)[c] = wrap(int64_t((*addend)[c]) + half);
                addend = rounded;
                affine.shift = value->shift;
            }
            affine.lo = value->lo;
            affine.hi = value->hi;
            chain.advance();
        }
        if (addend) {
            kept.push_back(addend);
            affine.addend = addend->data();
        }
        return true;
    }

    static void limit_to_u8(Affine& affine) {
        affine.lo = std::clamp(affine.lo, -128, 127);
        affine.hi = std::clamp(affine.hi, -128, 127);
    }

    // The forms that the kernels end in without a program: see Ending.
    bool fuse(Ending& ending, bool depthwise) const {
        Chain chain(values_, order_);
        const Value* value = chain.next();
        if (!value || value->kind != Value::Kind::Anchor) return false;
        chain.advance();
        std::vector<Vector>& kept = ending.epilogue.constants;
        Joint& joint = ending.joint;
        if (!take_affine(chain, joint.first, kept)) return false;
        if (chain.current() != value && !value->stores.empty()) return false;
        const auto fits_word = [&](int32_t lo, int32_t hi) {
            return (lo >= INT16_MIN && hi <= INT16_MAX) || (chain.current()->most >= 0 && chain.current()->most <= INT16_MAX);
        };
        bool words = fits_word(joint.first.lo, joint.first.hi);
        const auto one_store = [&](Store type) {
            const Value& last = *chain.current();
            return chain.done() && last.stores.size() == 1 && last.stores[0].type == type;
        };
        if (one_store(Store::U8)) {
            ending.kind = Ending::Kind::U8;
            limit_to_u8(joint.first);
            ending.has_narrow = true;
            ending.narrow = chain.current()->stores[0];
            return true;
        }
        if (depthwise) return false;
        ending.kind = Ending::Kind::Joint;
        joint.lo = kMin;
        joint.hi = kMax;
        if (const Value* load = chain.loaded_before_add()) {
            if (!same_pixels(load->operand)) return false;
            ending.has_residual = true;
            ending.residual = load->operand;
            joint.residual_type = load->operand.type;
            chain.advance();
            chain.advance();
            value = chain.next();
            if (value && value->code == Code::Clip && chain.current()->stores.empty()) {
                joint.lo = value->lo;
                joint.hi = value->hi;
                chain.advance();
            }
            words = words && ending.residual.type == Store::I16 && fits_word(joint.lo, joint.hi);
        }
        if (chain.current()->stores.size() > 1) return false;
        if (!chain.current()->stores.empty()) {
            ending.has_wide = true;
            ending.wide = chain.current()->stores[0];
            joint.wide_type = ending.wide.type;
            words = words && ending.wide.type == Store::I16;
        }
        joint.words.enough = words;
        if (chain.done()) return ending.has_wide;
        if (!take_affine(chain, joint.second, kept) || !one_store(Store::U8)) return false;
        limit_to_u8(joint.second);
        ending.has_narrow = true;
        ending.narrow = chain.current()->stores[0];
        round_words(joint.second, joint.words);
        if (!joint.words.enough && !ending.has_wide) joint.words.enough = words_saturate(ending);
        return true;
    }

    // Whether a sum beyond int16 saturates in 8 bits as well, so that its saturation to int16 changes nothing.
    static bool words_saturate(const Ending& ending) {
        const Joint& joint = ending.joint;
        const auto narrowed = [&](int32_t v) { return ((v * joint.words.multiplier + (1 << 14)) >> 15) + joint.words.offset; };
        const auto branch_fits = joint.first.lo >= INT16_MIN && joint.first.hi <= INT16_MAX;
        return branch_fits && ending.has_residual && joint.residual_type == Store::I16 && joint.words.multiplier > 0 &&
               joint.lo >= INT16_MIN && narrowed(INT16_MAX) >= joint.second.hi;
    }

    // An affine function that is the same for all channels as a rounding multiplication of int16, if it has that form.
    void round_words(const Affine& affine, Words& words) const {
        if (!affine.multiplier || !affine.addend || affine.shift < 1 || affine.shift > 15) return;
        const int64_t channels = group_.grid.c;
        for (int64_t c = 1; c < channels; ++c)
            if (affine.multiplier[c] != affine.multiplier[0] || affine.addend[c] != affine.addend[0]) return;
        const int64_t multiplier = int64_t(affine.multiplier[0]) * (int64_t(1) << (15 - affine.shift));
        const int64_t half = int64_t(1) << (affine.shift - 1), offset = (affine.addend[0] - half) >> affine.shift;
        if (std::abs(multiplier) > INT16_MAX || std::abs(offset) > INT16_MAX || affine.addend[0] != offset * (half * 2) + half) return;
        words.multiplier = int16_t(multiplier);
        words.offset = int16_t(offset);
    }

    bool same_pixels(const View& view) const {
        const Grid& g = group_.grid;
        return view.n == g.n && view.c == g.c && view.h == g.h && view.w == g.w && !view.splat;
    }

    void assign(Epilogue& epilogue) const {
        std::map<int, int> last_use;
        for (int id : order_) {
            const Value& value = values_[size_t(id)];
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
        for (int id : order_) {
            const Value& value = values_[size_t(id)];
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
    }

    const ProgramInputs& in_;
    const Group& group_;
    std::vector<Value> values_;
    std::vector<int> order_;
    std::map<Entry, int> of_entry_;
};

}  // namespace

Epilogue build_program(const ProgramInputs& inputs, const Group& group) { return Builder(inputs, group).program(); }

Ending build_ending(const ProgramInputs& inputs, const Group& group, std::vector<int64_t>& bias, bool depthwise) {
    return Builder(inputs, group).ending(bias, depthwise);
}

}  // namespace cvm
