// Of grouping: operators that only move values. They share storage, are read through, or become a copy.
#include "plan/groups.h"

#include <algorithm>

#include "ops/axes.h"

namespace cvm {
namespace {

using Factors = std::vector<Factor>;

// The factors of each of the axes that a tensor has; nothing where one of these ends inside of a factor.
std::optional<std::vector<Factors>> cut(const Factors& factors, const Shape& axes) {
    std::vector<Factors> result;
    size_t at = 0;
    int64_t left = factors.empty() ? 1 : factors[0].size;  // of factors[at], its inner part
    for (int64_t size : axes) {
        result.emplace_back();
        while (size > 1) {
            const int64_t taken = std::min(size, left);
            if (size % taken || left % taken) return std::nullopt;
            size /= taken;
            left /= taken;
            result.back().push_back({taken, factors[at].stride * left});
            if (left == 1 && ++at < factors.size()) left = factors[at].size;
        }
    }
    return result;
}

Factors join(const std::vector<Factors>& axes) {
    Factors result;
    for (const Factors& axis : axes)
        for (const Factor& next : axis) {
            if (!result.empty() && result.back().stride == next.size * next.stride) {
                result.back().size *= next.size;
                result.back().stride = next.stride;
            } else {
                result.push_back(next);
            }
        }
    return result;
}

// How far apart the values along each of the axes are, where each is one factor; 0 for an axis of one value.
std::optional<std::vector<int64_t>> strides_along(const Factors& factors, const Shape& axes) {
    const auto parts = cut(factors, axes);
    if (!parts) return std::nullopt;
    std::vector<int64_t> result;
    for (const Factors& part : *parts) {
        if (part.size() > 1) return std::nullopt;
        result.push_back(part.empty() ? 0 : part[0].stride);
    }
    return result;
}

bool is(int64_t stride, int64_t wanted) { return stride == 0 || stride == wanted; }

}  // namespace

// A reshape leaves the order as it is, a transpose turns it around.
void Grouping::note_moves(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    const Form form = form_of(node);
    if ((form != Form::Reshape && form != Form::Transpose) || is_constant(node.inputs[0])) return;
    const Entry from = node.inputs[0];
    const Shape& before = shape(from);
    const auto found = moved_.find(from);
    Moved moved = found != moved_.end() ? found->second : Moved{resolve(from), join({{{elements(before), 1}}})};
    if (form == Form::Transpose) {
        const auto axes = cut(moved.factors, before);
        if (!axes) return;
        std::vector<Factors> turned;
        for (int64_t axis : permutation(node.attrs, int64_t(before.size()))) turned.push_back((*axes)[size_t(axis)]);
        moved.factors = join(turned);
    }
    moved_.emplace(Entry{id, 0}, std::move(moved));
}

Entry Grouping::source_of(Entry head) const {
    const auto moved = moved_.find(head);
    if (moved == moved_.end()) return resolve(head);
    const Factors& factors = moved->second.factors;
    return factors.empty() || (factors.size() == 1 && factors[0].stride == 1) ? moved->second.source : resolve(head);
}

bool Grouping::try_alias(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    if (form_of(node) != Form::Reshape || is_constant(node.inputs[0])) return false;
    if (!(grid_of(shape(node.inputs[0])) == grid_of(shapes_[size_t(id)][0]))) return false;
    alias_[{id, 0}] = resolve(node.inputs[0]);  // never an alias itself
    return true;
}

bool Grouping::try_pick(int id, Share& share) {
    const Node& node = graph_.nodes[size_t(id)];
    const Operator& op = operator_of(node.op);
    if (!op.picking) return false;
    std::vector<Known> in;
    for (Entry input : node.inputs) in.push_back({shape(input), constants_.find(input), nullptr});
    const Shape& out = shapes_[size_t(id)][0];
    auto pixels = op.picking(node.attrs, in, out);
    if (!pixels) return false;
    Pick pick{resolve(node.inputs[0]), std::move(*pixels)};
    if (const Pick* inner = this->pick(pick.source)) {
        for (int32_t& row : pick.pixels.rows) row = inner->pixels.rows[size_t(row)];
        for (int32_t& column : pick.pixels.columns) column = inner->pixels.columns[size_t(column)];
        pick.source = inner->source;
    }
    share.take(int64_t(sizeof(int32_t)) * (out[2] + out[3]), "the pixels that an operator picks");
    picks_.emplace(Entry{id, 0}, std::move(pick));
    Group group;
    group.kind = Group::Kind::Copy;
    group.node = id;
    group.grid = grid_of(out);
    begin(std::move(group));
    return true;
}

// How a deconvolution's phases come together: reshape (n, a, b, c, h, w), transpose (0, ?, 4, ?, 5, ?), reshape (n, channels,
// h * rows, w * columns).
bool Grouping::try_interleave(int id) {
    const auto moved = moved_.find({id, 0});
    const Shape& to = shapes_[size_t(id)][0];
    if (moved == moved_.end() || to.size() != 4) return false;
    const Shape& from = shape(moved->second.source);
    if (from.size() != 4 || from[0] != to[0] || to[2] % from[2] || to[3] % from[3]) return false;
    const int64_t rows = to[2] / from[2], columns = to[3] / from[3], plane = from[2] * from[3];
    const auto strides = strides_along(moved->second.factors, {to[0], to[1], from[2], rows, from[3], columns});
    if (!strides) return false;
    const std::vector<int64_t>& s = *strides;
    if (!is(s[0], from[1] * plane) || s[1] % plane || !is(s[2], from[3]) || s[3] % plane || !is(s[4], 1) || s[5] % plane) return false;
    Group group;
    group.kind = Group::Kind::Interleave;
    group.node = id;
    group.source = moved->second.source;
    group.interleaving = {rows, columns, s[1] / plane, s[3] / plane, s[5] / plane};
    group.grid = grid_of(to);
    begin(std::move(group));
    return true;
}

// Pixels one after the other, as rows of whole pictures or of pixels, or as a tensor of any rank that is not channel-last itself.
bool Grouping::try_unroll(int id) {
    const auto moved = moved_.find({id, 0});
    if (moved == moved_.end()) return false;
    const Entry source = moved->second.source;
    const Shape &from = shape(source), &to = shapes_[size_t(id)][0];
    if (from.size() != 4 || groups[size_t(group_of(source))].kind == Group::Kind::Reference) return false;
    const auto strides = strides_along(moved->second.factors, {from[0], from[2], from[3], from[1]});
    if (!strides) return false;
    const std::vector<int64_t>& s = *strides;
    if (!is(s[0], from[1] * from[2] * from[3]) || !is(s[1], from[3]) || !is(s[2], 1) || !is(s[3], from[2] * from[3])) return false;
    const Grid rows = grid_of(to);
    if (to.size() != 4 && rows.n != from[0] && rows.c != from[1]) return false;
    Group group;
    group.kind = Group::Kind::Unroll;
    group.node = id;
    group.source = source;
    group.grid = rows;
    begin(std::move(group));
    return true;
}

const Pick* Grouping::pick(Entry entry) const {
    const auto found = picks_.find(entry);
    return found == picks_.end() ? nullptr : &found->second;
}

const Pick* Grouping::pick(const Grid& grid, Entry entry) const {
    entry = resolve(entry);
    const Grid own = grid_of(shape(entry));
    return own.h == grid.h && own.w == grid.w ? pick(entry) : nullptr;
}

}  // namespace cvm
