#include "plan/groups.h"

#include <algorithm>
#include <set>

#include "ops/axes.h"
#include "ops/operator.h"

namespace cvm {
namespace {

constexpr int64_t kNodeBytes = 1024;      // what grouping takes for a node
constexpr size_t kMostMembers = 1024;     // of a group

}  // namespace

Grid grid_of(const Shape& shape) {
    if (shape.size() == 4) return {shape[0], shape[1], shape[2], shape[3]};
    return {shape[0], elements(shape) / shape[0], 1, 1};
}

bool has_channels(const Shape& shape) { return shape.size() == 4 || shape.size() == 2; }

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
    note_moves(id);
    Group group;
    group.node = id;
    if (form_of(node) == Form::Input) {
        group.kind = Group::Kind::Input;
    } else if (try_alias(id) || try_pick(id, share) || try_interleave(id) || try_unroll(id) ||
               try_conv(id)) {
        return;
    } else if (elementwise(id)) {
        return add_elementwise(id);
    } else {
        const Shape& out = shapes_[size_t(id)][0];
        group.kind = kind_of(node, out);
        if (group.kind != Group::Kind::Reference) group.grid = grid_of(out);
    }
    begin(std::move(group));
}

void Grouping::begin(Group group) {
    const int id = group.node;
    group_of_node_[size_t(id)] = int(groups.size());
    groups.push_back(std::move(group));
    pressures_.emplace_back(Entry{id, 0});
}

Group::Kind Grouping::kind_of(const Node& node, const Shape& out) const {
    const Shape& in = shape(node.inputs[0]);
    const auto over_pixels = [&] {
        return in.size() == 4 && has_channels(out) && reduced_axes(node.attrs, 4) == std::vector<bool>{false, false, true, true};
    };
    const auto over_channels = [&] {
        std::vector<bool> channels(in.size(), false);
        if (channels.size() > 1) channels[1] = true;
        return has_channels(in) && has_channels(out) && reduced_axes(node.attrs, int64_t(in.size())) == channels;
    };
    const auto of_rows = [&](const Node& joined) {  // which are channel-last as well as row-major
        return std::all_of(joined.inputs.begin(), joined.inputs.end(), [&](Entry part) {
            if (is_constant(part)) return true;
            const Group::Kind kind = groups[size_t(group_of(part))].kind;
            return kind == Group::Kind::Unroll || kind == Group::Kind::Concat;
        });
    };
    switch (form_of(node)) {
        case Form::MaxPool: return Group::Kind::Pool;
        case Form::Sum: return over_pixels() ? Group::Kind::Sum : Group::Kind::Reference;
        case Form::Max:
            return over_pixels() ? Group::Kind::Pool : over_channels() ? Group::Kind::ChannelMax : Group::Kind::Reference;
        case Form::Concatenate:
            return resolve_axis(*node.attrs.axis, int64_t(out.size())) == 1 && (has_channels(in) || of_rows(node))
                       ? Group::Kind::Concat
                       : Group::Kind::Reference;
        default: return Group::Kind::Reference;
    }
}

bool Grouping::elementwise(int id) const {
    const Node& node = graph_.nodes[size_t(id)];
    const Shape& out = shapes_[size_t(id)][0];
    if (!has_channels(out)) return false;
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
    const Grid grid = grid_of(shapes_[size_t(id)][0]);
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

std::vector<Entry> Grouping::inputs(const Group& group) const {
    std::vector<Entry> result;
    std::set<Entry> seen;
    const auto read = [&](Entry entry) {
        if (is_constant(entry)) return;
        entry = resolve(entry);
        if (seen.insert(entry).second) result.push_back(entry);
    };
    if (group.kind == Group::Kind::Conv || group.kind == Group::Kind::Interleave || group.kind == Group::Kind::Unroll) {
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
        const Entry entry = source_of(head);
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
