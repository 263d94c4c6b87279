// take, cvm_lut, where: values chosen by other values.
#include <algorithm>

#include "ops/axes.h"
#include "ops/rules.h"

namespace cvm::rules {

void take_attributes(AttributeReader& read, Attrs& a) { a.axis = read.optional_integer("axis"); }

void lut_attributes(AttributeReader& read, Attrs& a) { a.in_dim = read.integer("in_dim"); }

Shapes take_shapes(const Attrs& a, const Shapes& in) {
    if (!a.axis) return {in[1]};
    const int64_t axis = resolve_axis(*a.axis, int64_t(in[0].size()));
    Shape out(in[0].begin(), in[0].begin() + axis);
    out.insert(out.end(), in[1].begin(), in[1].end());
    out.insert(out.end(), in[0].begin() + axis + 1, in[0].end());
    return {out};
}

Shapes lut_shapes(const Attrs& a, const Shapes& in) {
    require(elements(in[1]) == a.in_dim, "in_dim=", a.in_dim, " differs from the table's ", elements(in[1]), " elements");
    return {in[0]};
}

Shapes where_shapes(const Attrs&, const Shapes& in) {
    require(in[1] == in[2], "values ", to_string(in[1]), " and ", to_string(in[2]), " differ in shape");
    require(in[0] == in[1] || in[0] == Shape{in[1][0]}, "the condition ", to_string(in[0]), " must have the values' shape ",
            to_string(in[1]), " or their first dimension");
    return {in[1]};
}

Precisions lut_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) { return {p[1]}; }

Precisions where_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) {
    require(p[0] >= std::max(p[1], p[2]), "the condition's precision ", p[0], " must be at least the values' ",
            std::max(p[1], p[2]), ", as the result takes it");
    return {p[0]};
}

// Along another axis than the channels' these stay where they are.
Range take_range(const Attrs& a, const Arguments& in, const Shape& out) {
    const int64_t rank = int64_t(in[0].shape.size());
    const bool channels_stay = a.axis && resolve_axis(*a.axis, rank) > 1 && out.size() >= 2;
    return channels_stay ? in[0].own() : collapse(in[0].own());
}

Range lut_range(const Attrs&, const Arguments& in, const Shape&) { return collapse(in[1].own()); }

Range where_range(const Attrs&, const Arguments& in, const Shape&) { return hull(&in[1], &in[1] + 2); }

void evaluate_take(const Attrs& a, const Inputs& in, const Outputs& outs, Meter& meter) {
    const In &data = in[0], &indices = in[1];
    const Out& out = outs[0];
    const int64_t rank = int64_t(data.shape.size());
    const int64_t axis = a.axis ? resolve_axis(*a.axis, rank) : -1;
    int64_t outer = 1, inner = 1;
    if (a.axis)
        for (int64_t i = 0; i < rank; ++i) {
            if (i < axis) outer *= data.shape[size_t(i)];
            if (i > axis) inner *= data.shape[size_t(i)];
        }
    const int64_t size = a.axis ? data.shape[size_t(axis)] : elements(data.shape);
    const int64_t count = elements(indices.shape);
    int32_t* to = out.data;
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < count; ++i, to += inner) {
            const int64_t index = std::clamp<int64_t>(indices.data[i], 0, size - 1);
            meter.spend(4);
            copy(to, data.data + (o * size + index) * inner, inner, meter);
        }
}

void evaluate_lut(const Attrs&, const Inputs& in, const Outputs& out, Meter& meter) {
    const int64_t last = elements(in[1].shape) - 1;
    for (int64_t i = 0, count = elements(in[0].shape); i < count; ++i, meter.spend(2))
        out[0].data[i] = in[1].data[std::clamp<int64_t>(in[0].data[i], 0, last)];
}

void evaluate_where(const Attrs&, const Inputs& in, const Outputs& outs, Meter& meter) {
    const In &condition = in[0], &a = in[1], &b = in[2];
    const Out& out = outs[0];
    const int64_t count = elements(out.shape);
    const int64_t per_condition = count / elements(condition.shape);
    for (int64_t i = 0; i < count; ++i, meter.spend(2)) out.data[i] = condition.data[i / per_condition] != 0 ? a.data[i] : b.data[i];
}

bool take_separates(const Attrs& a, const Arguments& in, const Shape&) {
    if (!a.axis) return in[0].constant;
    return !in[0].constant && in[1].constant && resolve_axis(*a.axis, int64_t(in[0].shape.size())) != 0;
}

bool lut_separates(const Attrs&, const Arguments& in, const Shape&) { return in[1].constant && !in[0].constant; }

// From the flattened data it is a look-up, if the data is constant.
std::optional<Elementwise> take_code(const Attrs& a) {
    if (a.axis) return std::nullopt;
    Elementwise code{Code::Lut};
    code.value = 1;
    code.table = 0;
    return code;
}

std::optional<Picking> take_picking(const Attrs& a, const Arguments& in, const Shape& out) {
    if (!a.axis || in[0].shape.size() != 4 || !in[1].constant || in[1].shape.size() != 1) return std::nullopt;
    const int64_t axis = resolve_axis(*a.axis, 4);
    if (axis < 2) return std::nullopt;
    const int64_t last = in[0].shape[size_t(axis)] - 1;
    const auto index = [&](int64_t i) { return std::clamp<int64_t>(in[1].constant->at(i), 0, last); };
    if (axis == 2) return Picking{numbered(out[2], index), numbered(out[3])};
    return Picking{numbered(out[2]), numbered(out[3], index)};
}

std::optional<Elementwise> lut_code(const Attrs&) { return Elementwise{Code::Lut}; }

}  // namespace cvm::rules
