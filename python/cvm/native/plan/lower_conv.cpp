// Convolutions and dense layers as steps.
#include <algorithm>

#include "plan/lowering.h"

namespace cvm {

View Lowering::bordered(const Group& group) {
    View view = placing_.get_view(group.source);
    const Margins need = placing_.needed(group);
    if (placing_.margins_of(group.source).covers(need)) return view;
    auto step = std::make_unique<CopyStep>();
    step->in = view;
    step->out = placing_.allocate(grid_of(grouping_.shape(group.source)), Store::U8, view.sx, need);
    tasks_.share_moves(*step, step->out.n * step->out.h, step->out.w * step->out.c);
    step->title = "pad";
    view = step->out;
    placing_.emit(std::move(step));
    return view;
}

void Lowering::lower_conv(const Group& group) {
    const Convolution& conv = *group.conv;
    View in = bordered(group);
    in.place.offset -= conv.top * in.sy + conv.left * in.sx;
    std::vector<int64_t> bias = conv.bias;
    Ending ending = build_ending(program_inputs(group), group, bias, conv.depthwise());
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
        add_parts(step, conv);
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
        while (int(taps.size()) % kernels_.tile.taps) taps.push_back(taps.back());
        step->taps = std::move(taps);
        step->channels = conv.outputs;
        std::vector<int64_t> repeated;
        for (int64_t k = 0; k < repeat; ++k) repeated.insert(repeated.end(), bias.begin(), bias.end());
        bias = repeated;
        fill(*step);
        if (repeat > 1) widen_pixels(*step, repeat);
        const int64_t tile_rows = rows / repeat;
        step->row_chunk = tasks_.rows(tile_rows, double(macs_per_row * repeat) * 4);
        step->tasks = int(ceil_div(tile_rows, step->row_chunk));
        placing_.emit(std::move(step));
        return;
    }
    auto step = std::make_unique<ConvStep>();
    const auto packed = packed_conv(group, in.sx);
    step->steps = packed->steps;
    step->weights = packed->weights;
    step->blocks = packed->blocks;
    step->fetches = packed->fetches;
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

template <typename AnyStep>
void Lowering::add_parts(AnyStep& step, const Convolution& conv) const {
    if (conv.parts.empty()) step.parts = {{0, 0, step.out_h, step.out_w, 0}};
    const Aligned<int32_t> everywhere = std::move(step.init);
    step.init.clear();
    for (const BorderPart& part : conv.parts) {
        step.parts.push_back({part.y, part.x, part.h, part.w, int64_t(step.init.size())});
        for (size_t o = 0; o < everywhere.size(); ++o)
            step.init.push_back(o < part.added.size() ? wrap(everywhere[o] + part.added[o]) : everywhere[o]);
    }
    if (conv.parts.empty()) step.init = everywhere;
}

int64_t Lowering::pixels_per_tile(const Convolution& conv, const Grid& grid, const View& in, const Ending& ending) const {
    if (!conv.parts.empty() || ending.kind != Ending::Kind::U8 || conv.stride_w != 1 || in.sx != grid.c || ending.narrow.sx != grid.c) return 1;
    if (kernels_.tile.width % grid.c || grid.c % kernels_.tile.lanes) return 1;
    const int64_t repeat = kernels_.tile.width / grid.c;
    return grid.w % repeat == 0 ? repeat : 1;
}

void Lowering::widen_pixels(DepthwiseStep& step, int64_t repeat) {
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
    step.parts[0].w = step.out_w;
    step.step_x *= repeat;
    step.ending.narrow.sx *= repeat;
}

void Lowering::split(ConvStep& step, int64_t rows, int64_t macs_per_row, const View& in) const {
    constexpr int64_t kCacheBytes = 256 * 1024;
    const int64_t wanted = tasks_.count(double(rows) * double(macs_per_row));
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

std::shared_ptr<const PackedConv> Lowering::packed_conv(const Group& group, int64_t pixel_bytes) {
    const auto packed = cache_.conv(group, graph_.nodes[size_t(group.node)].inputs[1], pixel_bytes);
    if (counted_.insert(packed).second) plan_.constant_bytes += int64_t(packed->weights->size());
    return packed;
}

std::shared_ptr<const PackedDepthwise> Lowering::packed_depthwise(const Group& group, int64_t repeat) {
    const auto packed = cache_.depthwise(group, repeat);
    plan_.constant_bytes += int64_t(packed->weights->size());
    return packed;
}

}  // namespace cvm
