// Convolutions of both kinds, with what follows them.
#include "exec/access.h"

namespace cvm {
namespace {

// The addresses of one call's tensors at the end of a convolution.
class BoundEnding {
public:
    BoundEnding(const Ending& ending, const Call& call) : ending_(ending), bound_(ending.epilogue, call) {
        if (ending.has_residual) residual_base_ = call.at(ending.residual.place);
        if (ending.has_wide) wide_base_ = call.at(ending.wide.place);
        if (ending.has_narrow) narrow_base_ = call.at(ending.narrow.place);
    }

    // The next tiles are at these pixels.
    void move_to(const Span& span) {
        if (ending_.kind == Ending::Kind::Program) span.locate(pixels_);
        if (ending_.has_residual) rows(span, ending_.residual, residual_base_, residual_);
        if (ending_.has_wide) rows(span, ending_.wide, wide_base_, wide_);
        if (ending_.has_narrow) rows(span, ending_.narrow, narrow_base_, narrow_);
    }

    // Tile functions of convolutions and of depthwise convolutions share this tail.
    template <typename Tile>
    void run(const Kernels& kernels, const Tile& tile, Registers& registers) const {
        if (ending_.kind == Ending::Kind::Program) {
            accumulate(kernels, tile, registers.at(ending_.epilogue.input, kernels.tile));
            kernels.program(bound_.program, pixels_, int(tile.channel), tile.blocks * kernels.tile.lanes, registers.first());
        } else if (ending_.kind == Ending::Kind::U8) {
            narrow_to_u8(kernels, tile, ending_.joint.first.from(tile.channel), narrow_);
        } else {
            join(kernels, tile, ending_.joint.from(tile.channel),
                 {ending_.has_residual ? residual_ : nullptr, ending_.has_wide ? wide_ : nullptr, ending_.has_narrow ? narrow_ : nullptr});
        }
    }

private:
    static void accumulate(const Kernels& k, const ConvTile& tile, int32_t* acc) { k.conv(tile, acc); }
    static void accumulate(const Kernels& k, const DepthwiseTile& tile, int32_t* acc) { k.depthwise(tile, acc); }
    static void narrow_to_u8(const Kernels& k, const ConvTile& t, const Affine& a, uint8_t* const* out) { k.conv_u8(t, a, out); }
    static void narrow_to_u8(const Kernels& k, const DepthwiseTile& t, const Affine& a, uint8_t* const* out) {
        k.depthwise_u8(t, a, out);
    }
    static void join(const Kernels& k, const ConvTile& t, const Joint& j, const JointRows& r) { k.conv_joint(t, j, r); }
    static void join(const Kernels&, const DepthwiseTile&, const Joint&, const JointRows&) {}  // never planned

    static void rows(const Span& span, const View& view, uint8_t* base, uint8_t** out) {
        span.addresses(base, view.sn, view.sy, view.sx, out);
    }

    const Ending& ending_;
    const Bound bound_;
    Pixels pixels_;
    uint8_t *residual_base_ = nullptr, *wide_base_ = nullptr, *narrow_base_ = nullptr;
    uint8_t *residual_[kMaxTileRows], *wide_[kMaxTileRows], *narrow_[kMaxTileRows];
};

// Calls f(span, part) for tiles of at most `most` of the pixels first .. last - 1, counted part by part.
template <typename F>
void each_span(const std::vector<Part>& parts, int64_t n, int64_t first, int64_t last, int most, F f) {
    int64_t before = 0;
    for (const Part& part : parts) {
        const int64_t count = n * part.h * part.w, end = std::min(last - before, count);
        for (int64_t at = std::max<int64_t>(first - before, 0); at < end; at += most)
            f(Span(at, end, part.h, part.w, most, part.y, part.x), part);
        before += count;
    }
}

}  // namespace

void ConvStep::run(const Call& call, int task) const {
    const Tile& form = kernels->tile;
    const int64_t total = out_n * out_h * out_w;
    const int64_t row_part = task % row_chunks;
    const int64_t first_row = total * row_part / row_chunks, last_row = total * (row_part + 1) / row_chunks;
    const int64_t first_block = task / row_chunks * block_chunk;
    const int64_t last_block = std::min(first_block + block_chunk, int64_t(blocks.size()));
    uint8_t* base = call.at(in.place);
    BoundEnding bound(ending, call);
    Registers registers;
    Meter meter(call.watch);
    const int64_t tile_work = int64_t(taps.size()) * steps * form.rows * 2;
    // Many weights: one block of channels at a time, over all pixels. Few: all blocks at once for a tile of pixels.
    const int64_t blocks_at_once = many_weights ? 1 : last_block - first_block;
    for (int64_t start = first_block; start < last_block; start += blocks_at_once) {
        bool is_first = true;
        each_span(parts, out_n, first_row, last_row, form.rows, [&](const Span& span, const Part& part) {
            bound.move_to(span);
            uint8_t* from[kMaxTileRows];
            span.addresses(base, in.sn, step_y, step_x, from);
            for (int64_t b = start; b < start + blocks_at_once; ++b, meter.spend(tile_work)) {
                const Block& block = blocks[size_t(b)];
                const Block& next = blocks[is_first && size_t(b) + 1 < blocks.size() ? size_t(b) + 1 : size_t(b)];
                const ConvTile tile = {from, span.rows, block.input_channel, block.channel, taps.data(), int(taps.size()), steps,
                                       weights->data() + block.weights, block.blocks, init.data() + part.init + block.channel,
                                       weights->data() + next.weights, fetches->data() + block.first_fetch, block.fetches};
                bound.run(*kernels, tile, registers);
            }
            is_first = false;
        });
    }
}

std::pair<int, int> ConvStep::in_place() const {
    const View &from = ending.residual, &to = ending.wide;
    const bool same = ending.has_residual && ending.has_wide && from.type == to.type && from.place.offset == to.place.offset &&
                      from.sn == to.sn && from.sy == to.sy && from.sx == to.sx;
    return same ? std::pair(from.place.buffer, to.place.buffer) : std::pair(-1, -1);
}

void ConvStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    ending.touch(buffers);
}

void DepthwiseStep::run(const Call& call, int task) const {
    const Tile& form = kernels->tile;
    const int64_t total = out_n * out_h * out_w;
    const int64_t first_row = task * row_chunk, last_row = std::min(first_row + row_chunk, total);
    uint8_t* base = call.at(in.place);
    BoundEnding bound(ending, call);
    Registers registers;
    const int64_t block_bytes = int64_t(taps.size()) / form.taps * form.width * kDepthwiseBytes;
    Meter meter(call.watch);
    each_span(parts, out_n, first_row, last_row, form.rows, [&](const Span& span, const Part& part) {
        bound.move_to(span);
        uint8_t* from[kMaxTileRows];
        span.addresses(base, in.sn, step_y, step_x, from);
        for (int64_t channel = 0; channel < channels; channel += form.width) {
            const int blocks = int(std::min<int64_t>(form.width / form.lanes, ceil_div(channels - channel, form.lanes)));
            const DepthwiseTile tile = {from, span.rows, channel, taps.data(), int(taps.size()) / form.taps,
                                        weights->data() + channel / form.width * block_bytes,
                                        init.data() + part.init + channel, blocks};
            bound.run(*kernels, tile, registers);
            meter.spend(int64_t(taps.size()) * form.rows);
        }
    });
}

void DepthwiseStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    ending.touch(buffers);
}

}  // namespace cvm
