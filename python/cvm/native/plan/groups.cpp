#include "plan/groups.h"

#include <algorithm>
#include <set>

#include "ops/axes.h"
#include "ops/operator.h"

namespace cvm {
namespace {

constexpr int64_t kNodeBytes = 1024;      // what grouping takes for a node
constexpr size_t kMostMembers = 1024;     // of a group

Form form_of(const Node& node) { return operator_of(node.op).form; }

}  // namespace

std::optional<Grid> grid_of(const Shape& shape) {
    if (shape.size() == 4) return Grid{shape[0], shape[1], shape[2], shape[3]};
    if (shape.size() == 2) return Grid{shape[0], shape[1], 1, 1};
    return std::nullopt;
}

Grouping::Grouping(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes,
                   const Ranges& ranges, Share& share, const Watch* watch)
    : graph_(graph), constants_(constants), shapes_(shapes), ranges_(ranges), group_of_node_(graph.nodes.size(), -1) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        if (watch) watch->check();
        share.take(kNodeBytes, "the plan of a node");
        add(int(i), share);
    }
    pressures_.clear();
    absorb_maps(share, watch);
    find_live();
}

Entry Grouping::resolve(Entry entry) const {
    const auto found = alias_.find(entry);
    return found == alias_.end() ? entry : found->second;
}

int Grouping::group_of(Entry entry) const { return is_constant(entry) ? -1 : group_of_node_[size_t(resolve(entry).node)]; }

const std::vector<int>& Grouping::readers(Entry entry) const {
    static const std::vector<int> none;
    const auto found = stored_.find(entry);
    return found == stored_.end() ? none : found->second;
}

void Grouping::add(int id, Share& share) {
    const Node& node = graph_.nodes[size_t(id)];
    if (constants_.knows({id, 0})) return;
    Group group;
    group.node = id;
    if (form_of(node) == Form::Input) {
        group.kind = Group::Kind::Input;
    } else if (try_alias(id) || try_pick(id, share) || try_interleave(id) || try_conv(id)) {
        return;
    } else if (elementwise(id)) {
        return add_elementwise(id);
    } else {
        const Shape& out = shapes_[size_t(id)][0];
        group.kind = kind_of(node, out);
        if (group.kind != Group::Kind::Reference) group.grid = *grid_of(out);
    }
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back(Entry{id, 0});
}

Group::Kind Grouping::kind_of(const Node& node, const Shape& out) const {
    const Shape& in = shape(node.inputs[0]);
    const auto over_pixels = [&] {
        return in.size() == 4 && grid_of(out) && reduced_axes(node.attrs, 4) == std::vector<bool>{false, false, true, true};
    };
    const auto over_channels = [&] {
        std::vector<bool> channels(in.size(), false);
        if (channels.size() > 1) channels[1] = true;
        return grid_of(in) && grid_of(out) && reduced_axes(node.attrs, int64_t(in.size())) == channels;
    };
    switch (form_of(node)) {
        case Form::MaxPool: return Group::Kind::Pool;
        case Form::Sum: return over_pixels() ? Group::Kind::Sum : Group::Kind::Reference;
        case Form::Max:
            return over_pixels() ? Group::Kind::Pool : over_channels() ? Group::Kind::ChannelMax : Group::Kind::Reference;
        case Form::Concatenate:
            return grid_of(in) && resolve_axis(*node.attrs.axis, int64_t(out.size())) == 1 ? Group::Kind::Concat
                                                                                           : Group::Kind::Reference;
        default: return Group::Kind::Reference;
    }
}

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
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back(Entry{id, 0});
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
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back(Entry{id, 0});
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

bool Grouping::try_conv(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    const bool dense = form_of(node) == Form::Dense;
    if (!dense && form_of(node) != Form::Conv) return false;
    const Tensor* weights = constants_.find(node.inputs[1]);
    const Tensor* bias = node.inputs.size() == 3 ? constants_.find(node.inputs[2]) : nullptr;
    if (!weights || (node.inputs.size() == 3 && !bias) || is_constant(node.inputs[0])) return false;
    Group group;
    group.kind = Group::Kind::Conv;
    group.node = id;
    group.grid = *grid_of(shapes_[size_t(id)][0]);
    group.source = resolve(node.inputs[0]);
    Attrs attrs = node.attrs;
    if (dense) {
        attrs = Attrs();
        attrs.kernel = attrs.strides = attrs.dilation = {1, 1};
        attrs.padding = {0, 0};
    }
    group.conv = describe_conv(attrs, *weights, bias);
    if (dense) {
        // dense(flatten(x)) is a convolution whose kernel covers x.
        const Node& before = graph_.nodes[size_t(group.source.node)];
        if (form_of(before) == Form::Reshape) {
            const Shape& from = shape(before.inputs[0]);
            if (from.size() == 4 && from[0] == group.grid.n) {
                group.source = resolve(before.inputs[0]);
                group.conv->inputs = from[1];
                group.conv->kernel_h = group.conv->stored_h = from[2];
                group.conv->kernel_w = group.conv->stored_w = from[3];
            }
        }
    }
    crop(*group.conv);
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back(Entry{id, 0});
    return true;
}

bool Grouping::elementwise(int id) const {
    const Node& node = graph_.nodes[size_t(id)];
    const Shape& out = shapes_[size_t(id)][0];
    if (!grid_of(out)) return false;
    const Operator& op = operator_of(node.op);
    const auto kernel = op.elementwise ? op.elementwise(node.attrs) : std::nullopt;
    if (!kernel) return false;
    if (node.inputs.size() == 1) return true;
    if (kernel->code == Code::Lut) {
        const Entry index = node.inputs[kernel->value];
        return is_constant(node.inputs[kernel->table]) && !is_constant(index) && shape(index) == out;
    }
    for (Entry input : node.inputs)
        if (!is_constant(input) && shape(input).size() != out.size()) return false;
    return true;
}

// An operator joins the latest of the groups that it reads from: everything else that it needs is there by then. What pixels
// are picked of must be there as a whole.
void Grouping::add_elementwise(int id) {
    const Node& node = graph_.nodes[size_t(id)];
    const Grid grid = *grid_of(shapes_[size_t(id)][0]);
    int latest = -1, whole = -1;
    std::vector<Entry> inputs;
    for (Entry input : node.inputs) {
        const Pick* picked = pick(grid, input);
        if (picked) whole = std::max(whole, group_of(picked->source));
        else latest = std::max(latest, group_of(input));
        inputs.push_back(resolve(input));
    }
    if (latest > whole) {
        Group& group = groups[size_t(latest)];
        const bool computes =
            group.kind == Group::Kind::Conv || group.kind == Group::Kind::Program || group.kind == Group::Kind::Sum;
        if (computes && group.grid == grid && group.members.size() < kMostMembers &&
            pressures_[size_t(latest)].add({id, 0}, inputs, kMaxRegisters - 1)) {
            group.members.push_back(id);
            group_of_node_[size_t(id)] = latest;
            return;
        }
    }
    Group group;
    group.kind = Group::Kind::Program;
    group.grid = grid;
    group.members = {id};
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back().add({id, 0}, inputs, kMaxRegisters);
}

void Grouping::absorb_maps(Share& share, const Watch* watch) {
    std::map<Entry, int> uses;
    for (const Node& node : graph_.nodes)
        for (Entry input : node.inputs) ++uses[resolve(input)];
    for (Entry head : graph_.heads) ++uses[resolve(head)];
    for (Group& group : groups) {
        if (group.kind != Group::Kind::Conv || group.members.empty() || uses[{group.node, 0}] != 1) continue;
        const Node& first = graph_.nodes[size_t(group.members[0])];
        if (operator_of(first.op).elementwise(first.attrs)->code != Code::Add) continue;
        const Tensor* map = nullptr;
        const Picking* pixels = nullptr;
        bool reads_conv = false;
        for (Entry input : first.inputs) {
            const Pick* picked = pick(group.grid, input);
            if (is_constant(input)) {
                map = constants_.find(input);
            } else if (picked && is_constant(picked->source)) {
                map = constants_.find(picked->source);
                pixels = &picked->pixels;
            } else {
                reads_conv = resolve(input) == Entry{group.node, 0};
            }
        }
        if (!map || !reads_conv) continue;
        const auto in = grid_of(shape(group.source));
        if (watch) watch->check();
        Share passing = share.another();
        passing.take(group.grid.h * group.grid.w * 32 + map->size() * 16, "the border of a convolution");
        const ConstantMap border{*map, pixels, group.grid.h, group.grid.w};
        if (absorb_map(*group.conv, border, in->h, in->w)) {
            group.absorbed = group.members[0];
            tightened_[{group.absorbed, 0}] = output_range(*group.conv, range(group.source));
            continue;
        }
        group.conv->parts = border_parts(border, group.grid.c);
        if (group.conv->parts.empty()) continue;
        share.take(int64_t(group.conv->parts.size()) * group.grid.c * 16, "the border of a convolution");
        group.absorbed = group.members[0];
    }
}

std::vector<Entry> Grouping::inputs(const Group& group) const {
    std::vector<Entry> result;
    std::set<Entry> seen;
    const auto read = [&](Entry entry) {
        if (is_constant(entry)) return;
        entry = resolve(entry);
        if (seen.insert(entry).second) result.push_back(entry);
    };
    if (group.kind == Group::Kind::Conv || group.kind == Group::Kind::Interleave) {
        read(group.source);
    } else if (group.kind == Group::Kind::Copy) {
        read(pick({group.node, 0})->source);
    } else if (group.node >= 0) {
        for (Entry input : graph_.nodes[size_t(group.node)].inputs) read(input);
    }
    const int own = group_of_node_[size_t(group.node >= 0 ? group.node : group.members[0])];
    for (int member : group.members)
        for (Entry input : graph_.nodes[size_t(member)].inputs) {
            const Pick* picked = pick(group.grid, input);
            if (picked) read(picked->source);
            else if (!is_constant(input) && group_of(input) != own) read(input);
        }
    return result;
}

void Grouping::find_live() {
    live_.assign(groups.size(), false);
    for (Entry head : graph_.heads) {
        if (is_constant(head)) continue;
        const Entry entry = resolve(head);
        stored_[entry];
        live_[size_t(group_of(entry))] = true;
    }
    for (size_t g = groups.size(); g-- > 0;) {
        if (groups[g].kind == Group::Kind::Input) live_[g] = true;
        if (!live_[g]) continue;
        for (Entry entry : inputs(groups[g])) {
            stored_[entry].push_back(int(g));
            live_[size_t(group_of(entry))] = true;
        }
    }
}

}  // namespace cvm
