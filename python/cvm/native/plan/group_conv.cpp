// Of grouping: convolutions, and the constant maps behind them that become their padding, bias and border.
#include "plan/groups.h"

namespace cvm {

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
    group.grid = grid_of(shapes_[size_t(id)][0]);
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
    begin(std::move(group));
    return true;
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
        const Grid in = grid_of(shape(group.source));
        if (watch) watch->check();
        Share passing = share.another();
        passing.take(group.grid.h * group.grid.w * 32 + map->size() * 16, "the border of a convolution");
        const ConstantMap border{*map, pixels, group.grid.h, group.grid.w};
        if (absorb_map(*group.conv, border, in.h, in.w)) {
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

}  // namespace cvm
