#include "plan/lower.h"

#include <algorithm>
#include <set>

#include "ops/reference.h"
#include "plan/program.h"

namespace cvm {
namespace {

constexpr double kMacsPerMicrosecond = 2e5;
constexpr double kTaskMicroseconds = 3;  // smaller tasks are not worth handing out
constexpr int64_t kStepBytes = 1024;     // what a step takes beside its constants

class Lowering {
public:
    Lowering(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Grouping& grouping,
             int threads, Plan& plan)
        : graph_(graph), constants_(constants), kernels_(kernels), cache_(cache), grouping_(grouping), threads_(threads),
          plan_(plan), placing_(graph, constants, grouping, kernels, plan) {}

    void run(const Watch* watch) {
        for (size_t g = 0; g < grouping_.groups.size(); ++g) {
            if (!grouping_.live(g)) continue;
            if (watch) watch->check();
            plan_.share.take(kStepBytes, "a step of the plan");
            lower(grouping_.groups[g]);
        }
        lower_heads();
    }

private:
    std::string title(const Group& group) const {
        std::string text;
        const auto add = [&](int node) {
            if (!text.empty()) text += " + ";
            text += op_name(graph_.nodes[size_t(node)].op);
        };
        if (group.node >= 0) add(group.node);
        for (int member : group.members) add(member);
        const int first = group.node >= 0 ? group.node : group.members[0];
        return text + " (" + graph_.nodes[size_t(first)].name + ")";
    }

    // How many tasks work of so many multiply-adds is worth: one, or a few for each thread.
    int64_t task_count(double macs) const {
        const double tasks = macs / (kMacsPerMicrosecond * kTaskMicroseconds);
        return tasks < 2 ? 1 : std::min<int64_t>(round_up(int64_t(std::min(tasks, 1e6)), threads_), 4 * threads_);
    }

    // Rows per task, for `rows` rows of `macs` multiply-adds each.
    int64_t chunk_rows(int64_t rows, double macs) const { return ceil_div(rows, task_count(double(rows) * macs)); }

    void lower(const Group& group) {
        switch (group.kind) {
            case Group::Kind::Input: return lower_input(group);
            case Group::Kind::Conv: return lower_conv(group);
            case Group::Kind::Program: return lower_program(group);
            case Group::Kind::Pool: return lower_pool(group);
            case Group::Kind::Sum: return lower_sum(group);
            case Group::Kind::Copy: return lower_upsampling(group);
            case Group::Kind::Concat: return lower_concat(group);
            case Group::Kind::Reference: return lower_reference(group);
        }
    }

    ProgramInputs program_inputs() {
        return {graph_, constants_, grouping_, [this](Entry entry) { return placing_.get_view(entry); },
                [this](Entry entry) { return placing_.make_view(entry); },
                [this](const Tensor& tensor, const Grid& grid) { return placing_.constant_view(tensor, grid); }, plan_.share, kernels_.tile.lanes};
    }

    void lower_input(const Group& group) {
        const Entry data{group.node, 0};
        const Shape& shape = grouping_.shape(data);
        const auto grid = grid_of(shape);
        bool as_view = false, as_plain = false;
        for (int reader : grouping_.readers(data)) {
            const bool plain = !grid || grouping_.groups[size_t(reader)].kind == Group::Kind::Reference;
            (plain ? as_plain : as_view) = true;
        }
        if (!as_view && !as_plain) as_plain = grouping_.stored(data);  // only a head reads it
        if (!as_view && !as_plain) return;
        auto step = std::make_unique<InputStep>();
        step->kernels = &kernels_;
        step->limit = int32_t(magnitude(graph_.precision(data)));
        if (as_view) step->views.push_back(placing_.make_view(data));
        if (as_plain) step->plains.push_back(placing_.make_plain(data));
        step->w = elements(shape);
        if (grid) {
            step->n = grid->n;
            step->c = grid->c;
            step->h = grid->h;
            step->w = grid->w;
        }
        step->rows_per_task = chunk_rows(step->n * step->h, double(step->c * step->w) * 60);
        step->tasks = int(ceil_div(step->n * step->h, step->rows_per_task));
        if (as_view) step->scratch.buffer = placing_.new_buffer(step->tasks * step->scratch_bytes());
        step->title = "input";
        placing_.emit(std::move(step));
    }

    // The input of a convolution with the border that it needs, copied where its own storage has another one.
    View bordered(const Group& group) {
        View view = placing_.get_view(group.source);
        const Margins need = placing_.needed(group);
        if (placing_.margins_of(group.source).covers(need)) return view;
        auto step = std::make_unique<CopyStep>();
        step->in = view;
        step->out = placing_.allocate(*grid_of(grouping_.shape(group.source)), Store::U8, view.sx, need);
        step->tasks = int(step->out.n * step->out.h);
        step->title = "pad";
        view = step->out;
        placing_.emit(std::move(step));
        return view;
    }

    void lower_conv(const Group& group) {
        const Convolution& conv = *group.conv;
        View in = bordered(group);
        in.place.offset -= conv.top * in.sy + conv.left * in.sx;
        std::vector<int64_t> bias = conv.bias;
        Ending ending = build_ending(program_inputs(), group, bias, conv.depthwise());
        const int64_t rows = group.grid.n * group.grid.h * group.grid.w;
        const int64_t macs_per_row = conv.outputs * conv.inputs * conv.kernel_h * conv.kernel_w;
        std::vector<int64_t> taps;
        for (int64_t y = 0; y < conv.kernel_h; ++y)
            for (int64_t x = 0; x < conv.kernel_w; ++x) taps.push_back(y * conv.dilation_h * in.sy + x * conv.dilation_w * in.sx);

        const auto fill = [&](auto& step) {  // needs init, set from the packed weights
            step.kernels = &kernels_;
            step.in = in;
            step.out_n = group.grid.n;
            step.out_h = group.grid.h;
            step.out_w = group.grid.w;
            step.step_y = conv.stride_h * in.sy;
            step.step_x = conv.stride_w * in.sx;
            for (size_t o = 0; o < bias.size(); ++o) step.init[o] = wrap(step.init[o] + bias[o]);
            step.finish = ending.kind == Ending::Kind::U8 ? "u8" : ending.kind == Ending::Kind::Joint ? "joint" : "program";
            step.ending = std::move(ending);
            step.macs = rows * macs_per_row;
            step.weight_bytes = int64_t(step.weights->size());
            step.title = title(group);
        };

        if (conv.depthwise()) {
            auto step = std::make_unique<DepthwiseStep>();
            const int64_t repeat = pixels_per_tile(conv, group.grid, in, ending);
            const auto packed = packed_depthwise(group, repeat);
            step->weights = packed->weights;
            step->init = packed->init;
            while (taps.size() % 4) taps.push_back(taps.back());
            step->taps = std::move(taps);
            step->channels = conv.outputs;
            std::vector<int64_t> repeated;
            for (int64_t k = 0; k < repeat; ++k) repeated.insert(repeated.end(), bias.begin(), bias.end());
            bias = repeated;
            fill(*step);
            if (repeat > 1) widen_pixels(*step, repeat);
            const int64_t tile_rows = rows / repeat;
            step->row_chunk = chunk_rows(tile_rows, double(macs_per_row * repeat) * 4);
            step->tasks = int(ceil_div(tile_rows, step->row_chunk));
            placing_.emit(std::move(step));
            return;
        }
        auto step = std::make_unique<ConvStep>();
        const auto packed = packed_conv(group, in.sx);
        step->steps = packed->steps;
        step->weights = packed->weights;
        step->blocks = packed->blocks;
        step->init = packed->init;
        if (packed->row_taps) {
            taps.clear();
            for (int64_t y = 0; y < conv.kernel_h; ++y) taps.push_back(y * conv.dilation_h * in.sy);
        }
        step->taps = std::move(taps);
        fill(*step);
        split(*step, rows, macs_per_row, in);
        placing_.emit(std::move(step));
    }

    // A depthwise convolution of 16 or 32 channels fills the 64 of a tile with neighbouring pixels, where the step from
    // one to the next is the same for input and output.
    int64_t pixels_per_tile(const Convolution& conv, const Grid& grid, const View& in, const Ending& ending) const {
        if (ending.kind != Ending::Kind::U8 || conv.stride_w != 1 || in.sx != grid.c || ending.narrow.sx != grid.c) return 1;
        if (kernels_.tile.width % grid.c || grid.c % kernels_.tile.lanes) return 1;
        const int64_t repeat = kernels_.tile.width / grid.c;
        return grid.w % repeat == 0 ? repeat : 1;
    }

    static void widen_pixels(DepthwiseStep& step, int64_t repeat) {
        const int64_t channels = step.channels;
        const auto repeated = [&](const int32_t*& constants) {
            if (!constants) return;
            auto wide = std::make_shared<Aligned<int32_t>>();
            for (int64_t k = 0; k < repeat; ++k) wide->insert(wide->end(), constants, constants + channels);
            constants = wide->data();
            step.ending.epilogue.constants.push_back(wide);
        };
        repeated(step.ending.joint.first.multiplier);
        repeated(step.ending.joint.first.addend);
        step.channels *= repeat;
        step.out_w /= repeat;
        step.step_x *= repeat;
        step.ending.narrow.sx *= repeat;
    }

    // Tasks of a convolution: the weights of many channels stay in the cache of one core (split by channels), or
    // the weights are few and every core takes its own pixels.
    void split(ConvStep& step, int64_t rows, int64_t macs_per_row, const View& in) const {
        constexpr int64_t kCacheBytes = 256 * 1024;
        const int64_t wanted = task_count(double(rows) * double(macs_per_row));
        const int64_t blocks = int64_t(step.blocks.size()), tiles = ceil_div(rows, kernels_.tile.rows);
        const int64_t input_bytes = in.sn * in.n;
        int64_t by_block = int64_t(step.weights->size()) > kCacheBytes ? std::min(blocks, wanted) : 1;
        int64_t by_row = std::max(ceil_div(wanted, by_block), ceil_div(input_bytes, kCacheBytes));
        by_row = std::min(by_row, tiles);
        if (by_row * by_block < wanted) by_block = std::min(blocks, ceil_div(wanted, by_row));
        step.row_chunks = by_row;
        step.block_chunk = ceil_div(blocks, by_block);
        step.block_chunks = ceil_div(blocks, step.block_chunk);
        step.tasks = int(step.row_chunks * step.block_chunks);
        step.any_order = step.block_chunks == 1;
        step.many_weights = int64_t(step.weights->size()) / step.block_chunks > kCacheBytes;
    }

    std::shared_ptr<const PackedConv> packed_conv(const Group& group, int64_t pixel_bytes) {
        const auto packed = cache_.conv(group, graph_.nodes[size_t(group.node)].inputs[1], pixel_bytes);
        if (counted_.insert(packed).second) plan_.constant_bytes += int64_t(packed->weights->size());
        return packed;
    }

    std::shared_ptr<const PackedDepthwise> packed_depthwise(const Group& group, int64_t repeat) {
        const auto packed = cache_.depthwise(group, repeat);
        plan_.constant_bytes += int64_t(packed->weights->size());
        return packed;
    }

    void lower_program(const Group& group) {
        auto step = std::make_unique<ProgramStep>();
        step->kernels = &kernels_;
        step->n = group.grid.n;
        step->c = group.grid.c;
        step->h = group.grid.h;
        step->w = group.grid.w;
        step->epilogue = build_program(program_inputs(), group);
        const int64_t rows = group.grid.n * group.grid.h * group.grid.w;
        step->row_chunk = chunk_rows(rows, double(group.grid.c) * 20 * double(step->epilogue.code.size()));
        step->tasks = int(ceil_div(rows, step->row_chunk));
        step->title = title(group);
        placing_.emit(std::move(step));
    }

    void lower_pool(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<PoolStep>();
        step->kernels = &kernels_;
        step->in = placing_.get_view(node.inputs[0]);
        step->out = placing_.make_view({group.node, 0});
        if (node.op == Op::MaxPool2d) {
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
        step->rows_per_task = chunk_rows(step->out.n * step->out.h, double(step->out.w * step->out.c * window) * 3);
        step->tasks = int(ceil_div(step->out.n * step->out.h, step->rows_per_task));
        step->title = title(group);
        if (step->in.type != step->out.type) {  // a concatenation keeps wider values
            const View target = step->out;
            step->out = placing_.allocate(group.grid, step->in.type, round_up(group.grid.c, kernels_.tile.lanes), Margins{});
            auto copy = std::make_unique<CopyStep>();
            copy->in = step->out;
            copy->out = target;
            copy->tasks = int(target.n * target.h);
            copy->title = "convert";
            placing_.emit(std::move(step));
            placing_.emit(std::move(copy));
            return;
        }
        placing_.emit(std::move(step));
    }

    void lower_sum(const Group& group) {
        auto step = std::make_unique<SumStep>();
        step->kernels = &kernels_;
        step->in = placing_.get_view(graph_.nodes[size_t(group.node)].inputs[0]);
        step->epilogue = build_program(program_inputs(), group);
        step->tasks = int(step->in.n * ceil_div(step->in.c, kernels_.tile.width));
        step->title = title(group);
        placing_.emit(std::move(step));
    }

    void lower_upsampling(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<CopyStep>();
        step->in = placing_.get_view(node.inputs[0]);
        step->out = placing_.make_view({group.node, 0});
        step->scale = node.attrs.scale;
        step->tasks = int(step->out.n * step->out.h);
        step->title = title(group);
        placing_.emit(std::move(step));
    }

    void lower_concat(const Group& group) {
        const Entry whole{group.node, 0};
        const View out = placing_.make_view(whole);
        int64_t channel = 0;
        for (Entry input : graph_.nodes[size_t(group.node)].inputs) {
            const int64_t at = channel;
            channel += grouping_.shape(input)[1];
            if (!constants_.find(input) && placing_.lies_in(grouping_.resolve(input), whole, at)) continue;
            auto step = std::make_unique<CopyStep>();
            step->in = placing_.get_view(input);
            step->out = out;
            step->out.c = step->in.c;
            step->out.place.offset += at * store_bytes(out.type);
            step->tasks = int(out.n * out.h);
            step->title = title(group);
            placing_.emit(std::move(step));
        }
    }

    void lower_reference(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<ReferenceStep>();
        step->op = node.op;
        step->attrs = node.attrs;
        std::vector<Shape> shapes;
        for (Entry input : node.inputs) {
            shapes.push_back(grouping_.shape(input));
            step->in.push_back(placing_.get_plain(input, shapes.back()));
        }
        plan_.scratch_bytes = std::max(plan_.scratch_bytes, scratch_bytes(node.op, shapes));
        for (int k = 0; k < num_outputs(node.op); ++k) step->out.push_back(placing_.make_plain({group.node, k}));
        step->title = title(group);
        placing_.emit(std::move(step));
    }

    void lower_heads() {
        const bool narrow = std::all_of(graph_.heads.begin(), graph_.heads.end(),
                                        [this](Entry head) { return graph_.precision(head) <= 8; });
        for (size_t i = 0; i < graph_.heads.size(); ++i) {
            const Entry head = graph_.heads[i];
            const Shape& shape = grouping_.shape(head);
            auto step = std::make_unique<OutputStep>();
            step->index = int(i);
            step->as_int8 = narrow;
            const View* view = placing_.find_view(head);
            step->from_view = view != nullptr;
            if (view) step->view = *view;
            else step->plain = placing_.get_plain(head, shape);
            step->title = "output";
            plan_.outputs.push_back(shape);
            placing_.emit(std::move(step));
        }
    }

    const Graph& graph_;
    const Constants& constants_;
    const Kernels& kernels_;
    PackCache& cache_;
    const Grouping& grouping_;
    const int threads_;
    Plan& plan_;
    Placing placing_;
    std::set<std::shared_ptr<const PackedConv>> counted_;
};

}  // namespace

void lower(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Grouping& grouping,
           int threads, const Watch* watch, Plan& plan) {
    Lowering(graph, constants, kernels, cache, grouping, threads, plan).run(watch);
}

}  // namespace cvm
