// Of grouping: operators that only move values. They share storage, are read through, or become a copy.
#include "plan/groups.h"

#include "ops/axes.h"

namespace cvm {

bool Grouping::try_alias(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    if (form_of(node) != Form::Reshape) return false;
    const auto from = grid_of(shape(node.inputs[0])), to = grid_of(shapes_[size_t(id)][0]);
    const bool same_rows = shape(node.inputs[0]) == shapes_[size_t(id)][0];
    if (!same_rows && !(from && to && *from == *to)) return false;
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
    group.grid = *grid_of(out);
    begin(std::move(group));
    return true;
}

// reshape (n, a, b, c, h, w), transpose (0, ?, 4, ?, 5, ?), reshape (n, channels, h * rows, w * columns): how a deconvolution's
// phases come together.
bool Grouping::try_interleave(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    if (form_of(node) != Form::Reshape || is_constant(node.inputs[0])) return false;
    const Node& turned = graph_.nodes[size_t(node.inputs[0].node)];
    if (form_of(turned) != Form::Transpose || is_constant(turned.inputs[0])) return false;
    const Node& parted = graph_.nodes[size_t(turned.inputs[0].node)];
    if (form_of(parted) != Form::Reshape || is_constant(parted.inputs[0])) return false;
    const Shape &from = shape(parted.inputs[0]), &six = shape(turned.inputs[0]), &to = shapes_[size_t(id)][0];
    if (from.size() != 4 || six.size() != 6 || to.size() != 4) return false;
    const std::vector<int64_t> axes = permutation(turned.attrs, 6);
    if (axes[0] != 0 || axes[2] != 4 || axes[4] != 5) return false;
    if (six[0] != from[0] || six[4] != from[2] || six[5] != from[3]) return false;
    const int64_t steps[] = {0, six[2] * six[3], six[3], 1};  // channels of the source along each axis of its parts
    const size_t channels = size_t(axes[1]), rows = size_t(axes[3]), columns = size_t(axes[5]);
    if (to != Shape{six[0], six[channels], six[4] * six[rows], six[5] * six[columns]}) return false;
    Group group;
    group.kind = Group::Kind::Interleave;
    group.node = id;
    group.source = resolve(parted.inputs[0]);
    group.interleaving = {six[rows], six[columns], steps[channels], steps[rows], steps[columns]};
    group.grid = *grid_of(to);
    begin(std::move(group));
    return true;
}

const Pick* Grouping::pick(Entry entry) const {
    const auto found = picks_.find(entry);
    return found == picks_.end() ? nullptr : &found->second;
}

const Pick* Grouping::pick(const Grid& grid, Entry entry) const {
    entry = resolve(entry);
    const auto own = grid_of(shape(entry));
    return own && own->h == grid.h && own->w == grid.w ? pick(entry) : nullptr;
}

}  // namespace cvm
