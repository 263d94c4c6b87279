#include "plan/lower.h"

#include <algorithm>

#include "exec/row_step.h"
#include "ops/operator.h"
#include "plan/lowering.h"

namespace cvm {
namespace {

constexpr int64_t kStepBytes = 1024;  // what a step takes beside its constants

}  // namespace

void Lowering::run(const Watch* watch) {
    for (size_t g = 0; g < grouping_.groups.size(); ++g) {
        if (!grouping_.live(g)) continue;
        if (watch) watch->check();
        plan_.share.take(kStepBytes, "a step of the plan");
        lower(grouping_.groups[g]);
    }
    lower_heads();
}

std::string Lowering::title(const Group& group) const {
    std::string text;
    const auto add = [&](int node) {
        if (!text.empty()) text += " + ";
        text += operator_of(graph_.nodes[size_t(node)].op).name;
    };
    if (group.node >= 0) add(group.node);
    for (int member : group.members) add(member);
    const int first = group.node >= 0 ? group.node : group.members[0];
    return text + " (" + graph_.nodes[size_t(first)].name + ")";
}

void Lowering::lower(const Group& group) {
    switch (group.kind) {
        case Group::Kind::Input: return lower_input(group);
        case Group::Kind::Conv: return lower_conv(group);
        case Group::Kind::Program: return lower_program(group);
        case Group::Kind::Pool: return lower_pool(group);
        case Group::Kind::Sum: return lower_sum(group);
        case Group::Kind::ChannelMax: return lower_channel_max(group);
        case Group::Kind::Copy: return lower_copy(group);
        case Group::Kind::Interleave: return lower_interleave(group);
        case Group::Kind::Unroll: return lower_unroll(group);
        case Group::Kind::Concat: return lower_concat(group);
        case Group::Kind::Reference: return lower_reference(group);
    }
}

ProgramInputs Lowering::program_inputs(const Group& group) {
    return {graph_, constants_, grouping_, [this, &group](Entry entry) {
                const Pick* picked = grouping_.pick(group.grid, entry);
                return picked ? placing_.picked_view(*picked) : placing_.get_view(entry);
            },
            [this](Entry entry) { return placing_.make_view(entry); },
            [this](const Tensor& tensor, const Grid& grid) { return placing_.constant_view(tensor, grid); }, plan_.share, kernels_.tile};
}

Lowering::Layouts Lowering::wanted(Entry entry) const {
    Layouts layouts;
    for (int reader : grouping_.readers(entry)) {
        const bool plain = grouping_.groups[size_t(reader)].kind == Group::Kind::Reference;
        (plain ? layouts.plain : layouts.view) = true;
    }
    if (!layouts.view && !layouts.plain) layouts.plain = grouping_.stored(entry);  // only a head reads it
    return layouts;
}

void Lowering::lower_input(const Group& group) {
    const Entry data{group.node, 0};
    const Shape& shape = grouping_.shape(data);
    const Layouts layouts = wanted(data);
    if (!layouts.view && !layouts.plain) return;
    auto step = std::make_unique<InputStep>();
    step->kernels = &kernels_;
    step->limit = int32_t(magnitude(graph_.precision(data)));
    if (layouts.view) step->views.push_back(placing_.make_view(data));
    if (layouts.plain) step->plains.push_back(placing_.make_plain(data));
    const Grid grid = layouts.view || shape.size() == 4 ? grid_of(shape) : Grid{1, 1, 1, elements(shape)};
    step->n = grid.n;
    step->c = grid.c;
    step->h = grid.h;
    step->w = grid.w;
    tasks_.share_moves(*step, step->n * step->h, step->c * step->w);
    if (layouts.view) step->scratch.buffer = placing_.new_buffer(step->tasks * step->scratch_bytes());
    step->title = "input";
    placing_.emit(std::move(step));
}

void Lowering::lower_program(const Group& group) {
    const Grid& grid = group.grid;
    const bool by_rows = output_of(group) >= 0;
    auto built = build_blending(program_inputs(group), group);
    if (auto* blending = std::get_if<Blending>(&built)) {
        auto step = std::make_unique<BlendStep>();
        step->kernels = &kernels_;
        step->how = std::move(*blending);
        if (!by_rows) tasks_.share_moves(*step, grid.n * grid.h, grid.w * grid.c);
        step->finish = "blend";
        step->title = title(group);
        return emit(group, std::move(step));
    }
    auto step = std::make_unique<ProgramStep>();
    step->kernels = &kernels_;
    step->n = grid.n;
    step->c = grid.c;
    step->h = grid.h;
    step->w = grid.w;
    step->epilogue = std::get<Epilogue>(std::move(built));
    step->flat = by_rows && rows_.flat({group.members.back(), 0});
    const int64_t rows = grid.n * grid.h * grid.w;
    step->row_chunk = by_rows ? grid.w : tasks_.rows(rows, double(grid.c) * 20 * double(step->epilogue.code.size()));
    step->tasks = int(ceil_div(rows, step->row_chunk));
    step->title = title(group);
    emit(group, std::move(step));
}

void Lowering::lower_pool(const Group& group) {
    const Node& node = graph_.nodes[size_t(group.node)];
    auto step = std::make_unique<PoolStep>();
    step->kernels = &kernels_;
    step->in = placing_.get_view(node.inputs[0]);
    step->out = placing_.make_view({group.node, 0});
    if (form_of(node) == Form::MaxPool) {
        step->pool_y = node.attrs.kernel[0];
        step->pool_x = node.attrs.kernel[1];
        step->stride_y = node.attrs.strides[0];
        step->stride_x = node.attrs.strides[1];
        step->pad_y = node.attrs.padding[0];
        step->pad_x = node.attrs.padding[1];
    } else {
        step->pool_y = step->in.h;
        step->pool_x = step->in.w;
    }
    const int64_t window = step->pool_y * step->pool_x;
    tasks_.share_rows(*step, step->out.n * step->out.h, double(step->out.w * step->out.c * window) * 3);
    step->title = title(group);
    if (step->in.type != step->out.type) {  // a concatenation keeps wider values
        const View target = step->out;
        step->out = placing_.allocate(group.grid, step->in.type, round_up(group.grid.c, kernels_.tile.lanes), Margins{});
        auto copy = std::make_unique<CopyStep>();
        copy->in = step->out;
        copy->out = target;
        tasks_.share_moves(*copy, target.n * target.h, target.w * target.c);
        copy->title = "convert";
        placing_.emit(std::move(step));
        placing_.emit(std::move(copy));
        return;
    }
    placing_.emit(std::move(step));
}

void Lowering::lower_sum(const Group& group) {
    auto step = std::make_unique<SumStep>();
    step->kernels = &kernels_;
    step->in = placing_.get_view(graph_.nodes[size_t(group.node)].inputs[0]);
    step->epilogue = build_program(program_inputs(group), group);
    step->tasks = int(step->in.n * ceil_div(step->in.c, kernels_.tile.width));
    step->title = title(group);
    placing_.emit(std::move(step));
}

void Lowering::lower_channel_max(const Group& group) {
    auto step = std::make_unique<ChannelMaxStep>();
    step->kernels = &kernels_;
    step->in = placing_.get_view(graph_.nodes[size_t(group.node)].inputs[0]);
    step->out = placing_.make_view({group.node, 0});
    if (output_of(group) < 0)
        tasks_.share_moves(*step, step->out.n * step->out.h, step->in.w * round_up(step->in.c, kernels_.tile.lanes) / 4);
    step->title = title(group);
    emit(group, std::move(step));
}

void Lowering::lower_reference(const Group& group) {
    const Node& node = graph_.nodes[size_t(group.node)];
    auto step = std::make_unique<ReferenceStep>();
    const Operator& op = operator_of(node.op);
    step->op = &op;
    step->attrs = node.attrs;
    Shapes shapes;
    for (Entry input : node.inputs) {
        shapes.push_back(grouping_.shape(input));
        step->in.push_back(placing_.get_plain(input, shapes.back()));
    }
    if (op.scratch) plan_.scratch_bytes = std::max(plan_.scratch_bytes, op.scratch(shapes));
    for (int k = 0; k < op.outputs; ++k) step->out.push_back(placing_.make_plain({group.node, k}));
    step->title = title(group);
    placing_.emit(std::move(step));
}

void Lowering::lower_heads() {
    const bool narrow = std::all_of(graph_.heads.begin(), graph_.heads.end(),
                                    [this](Entry head) { return graph_.precision(head) <= 8; });
    for (size_t i = 0; i < graph_.heads.size(); ++i) {
        const Entry head = graph_.heads[i];
        const Shape& shape = grouping_.shape(head);
        auto step = std::make_unique<OutputStep>();
        step->index = int(i);
        step->as_int8 = narrow;
        const Entry source = constants_.find(head) ? head : grouping_.source_of(head);
        const View* view = placing_.find_view(source);
        step->from_view = view != nullptr;
        if (view) {
            step->view = *view;
            if (parts_.count(step->index) == 0)
                tasks_.share_moves(*step, view->n * view->h, view->w * view->c);
        } else {
            step->plain = placing_.get_plain(source, shape);
            tasks_.share_moves(*step, elements(shape), 1);
        }
        step->title = "output";
        plan_.outputs.push_back(shape);
        if (parts_.count(step->index)) emit_rows(std::move(step));
        else placing_.emit(std::move(step));
    }
}

void Lowering::emit(const Group& group, std::unique_ptr<Step> step) {
    const int output = output_of(group);
    if (output < 0) return placing_.emit(std::move(step));
    parts_[output].push_back(std::move(step));
}

void Lowering::emit_rows(std::unique_ptr<OutputStep> output) {
    auto step = std::make_unique<RowStep>();
    step->rows = output->view.n * output->view.h;
    step->rows_per_task = ceil_div(step->rows, tasks_.most());
    step->tasks = int(ceil_div(step->rows, step->rows_per_task));
    step->parts = std::move(parts_[output->index]);
    step->parts.push_back(std::move(output));
    for (const auto& part : step->parts) {
        step->title += (step->title.empty() ? "" : " > ") + part->title;
        if (!part->finish.empty()) step->finish = part->finish;
    }
    placing_.emit(std::move(step));
}

void lower(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Grouping& grouping,
           int threads, const Watch* watch, Plan& plan) {
    Lowering(graph, constants, kernels, cache, grouping, threads, plan).run(watch);
}

}  // namespace cvm
