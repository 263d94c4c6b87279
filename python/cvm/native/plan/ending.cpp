// What is fused: the endings of convolutions, and pixels between two others.
#include <algorithm>

#include "plan/expression.h"

namespace cvm {
namespace {

constexpr int32_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();

// Walks the values in order while each is the only user of the one before.
class Chain {
public:
    // `done`: how many values were walked over before.
    explicit Chain(const Expression& expression, size_t done = 0)
        : values_(expression.values), order_(expression.order), at_(done) {}

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
    size_t at_;
};

class Fusion {
public:
    Fusion(const ProgramInputs& in, const Group& group, const Expression& expression)
        : in_(in), group_(group), expression_(expression) {}

    bool fuse(Ending& ending, bool depthwise) const {
        Chain chain(expression_);
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

    // low + (clip(high - low) * weight >> shift), then an affine function.
    bool fuse(Blending& blending) const {
        const std::vector<int>& order = expression_.order;
        const auto is = [&](int id, Code code, int uses) { return value(id).code == code && value(id).uses == uses && value(id).stores.empty(); };
        // The operand of a value that is made by such an operation, and the other one.
        const auto operands = [&](const Value& of, Code code) {
            return of.b >= 0 && is(of.b, code, 1) ? std::pair(of.b, of.a) : std::pair(of.a, of.b);
        };
        const auto found = std::find_if(order.begin(), order.end(), [&](int id) { return value(id).code == Code::Add; });
        if (found == order.end()) return false;
        const Value& sum = value(*found);
        const auto [shift, near] = operands(sum, Code::Shift);
        if (!is(shift, Code::Shift, 1) || !is(value(shift).a, Code::Mul, 1)) return false;
        const Value& product = value(value(shift).a);
        const auto [factor, clipped] = operands(product, Code::Load);
        const bool clips = is(clipped, Code::Clip, 1);
        const int step = clips ? value(clipped).a : clipped;
        if (!is(factor, Code::Load, 1) || !is(step, Code::Sub, 1) || value(step).b != near) return false;
        const int far = value(step).a;
        if (!is(far, Code::Load, 1) || !is(near, Code::Load, 2)) return false;
        const size_t count = clips ? 8 : 7;  // of the values up to the sum, if there are no others
        if (found != order.begin() + int64_t(count) - 1) return false;
        blending.low = value(near).operand;
        blending.high = value(far).operand;
        const Store type = blending.low.type;
        if (type == Store::I32 || blending.high.type != type || blending.low.splat || blending.high.splat) return false;
        if (!take_weights(value(factor).operand, blending)) return false;
        const int64_t half = int64_t(1) << (value(shift).shift - 1), most = product.most + half;
        if (product.most < 0 || value(shift).shift > 30 || most > kMax) return false;
        if (most >> value(shift).shift > value(shift).hi || -most >> value(shift).shift < value(shift).lo) return false;
        Chain chain(expression_, count);
        Blend& blend = blending.blend;
        const Value* clip = chain.next();
        if (clip && clip->code == Code::Clip && sum.stores.empty()) chain.advance();
        else clip = nullptr;
        const Value& between = *chain.current();
        if (!take_affine(chain, blend.post, blending.constants)) return false;
        const Value& last = *chain.current();
        if (!chain.done() || last.stores.size() != 1 || (&last != &between && !between.stores.empty())) return false;
        if (&last != &between && blending.constants.empty()) return false;
        blending.out = last.stores[0];
        blend.least = clip ? clip->lo : kMin;
        blend.most = clip ? clip->hi : kMax;
        blend.lo = clips ? value(clipped).lo : kMin;
        blend.hi = clips ? value(clipped).hi : kMax;
        blend.from = type;
        blend.to = blending.out.type;
        blend.half = int32_t(half);
        blend.shift = value(shift).shift;
        complete(blend.post, blending.constants);
        return true;
    }

private:
    const Value& value(int id) const { return expression_.values[size_t(id)]; }

    // Constants that change along rows or along columns, of one channel and one picture.
    bool take_weights(const View& view, Blending& blending) const {
        const Grid& g = group_.grid;
        if (view.place.buffer >= 0 || view.picked || view.type != Store::I32 || (!view.splat && g.c > 1) || view.n != 1) return false;
        if (view.h > 1 && view.w > 1) return false;
        blending.by_row = view.h > 1;
        const int64_t count = blending.by_row ? g.h : g.w, step = blending.by_row ? view.sy : view.sx;
        in_.share.take(count * 4, "weights between pixels");
        const uint8_t* from = view.place.constant->data() + view.place.offset;
        for (int64_t i = 0; i < count; ++i, from += step) blending.weights.push_back(*reinterpret_cast<const int32_t*>(from));
        return true;
    }

    // Both constants or none.
    void complete(Affine& affine, std::vector<Vector>& kept) const {
        if (!affine.multiplier == !affine.addend) return;
        kept.push_back(channel_constants(in_, group_, affine.multiplier ? 0 : 1));
        (affine.multiplier ? affine.addend : affine.multiplier) = kept.back()->data();
    }

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
                auto rounded = channel_constants(in_, group_, int32_t(half));
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
        return view.n == g.n && view.c == g.c && view.h == g.h && view.w == g.w && !view.splat && !view.picked;
    }

    const ProgramInputs& in_;
    const Group& group_;
    const Expression& expression_;
};

}  // namespace

bool fuse_ending(const ProgramInputs& inputs, const Group& group, const Expression& expression, bool depthwise, Ending& ending) {
    return Fusion(inputs, group, expression).fuse(ending, depthwise);
}

bool fuse_blending(const ProgramInputs& inputs, const Group& group, const Expression& expression, Blending& blending) {
    return Fusion(inputs, group, expression).fuse(blending);
}

}  // namespace cvm
