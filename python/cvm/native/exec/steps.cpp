#include "exec/steps.h"

#include <algorithm>
#include <cstring>

#include "ops/reference.h"

namespace cvm {
namespace {

void touch_place(const Place& place, std::vector<int>& buffers) {
    if (place.buffer >= 0) buffers.push_back(place.buffer);
}

int32_t load(const uint8_t* at, Store type, int64_t i) {
    switch (type) {
        case Store::U8: return int32_t(at[i]) - 128;
        case Store::I16: return reinterpret_cast<const int16_t*>(at)[i];
        default: return reinterpret_cast<const int32_t*>(at)[i];
    }
}

void store(uint8_t* at, Store type, int64_t i, int32_t value) {
    switch (type) {
        case Store::U8: at[i] = uint8_t(value + 128); break;
        case Store::I16: reinterpret_cast<int16_t*>(at)[i] = int16_t(value); break;
        default: reinterpret_cast<int32_t*>(at)[i] = value;
    }
}

uint8_t* pixel(const Call& call, const View& view, int64_t n, int64_t y, int64_t x) {
    return call.at(view.place) + n * view.sn + y * view.sy + x * view.sx;
}

// The operands of a program with this call's addresses.
struct Bound {
    std::vector<Operand> operands;
    Program program;

    Bound(const Epilogue& epilogue, const Call& call) {
        for (const View& view : epilogue.operands)
            operands.push_back({call.at(view.place), view.sn, view.sy, view.sx, view.type, view.splat});
        program = {epilogue.code.data(), int(epilogue.code.size()), operands.data()};
    }
};

// The tiles that a program works on.
struct alignas(64) Registers {
    int32_t values[kMaxRegisters * kMaxTileValues];
    int32_t* first() { return values; }
    int32_t* at(int number, const Tile& tile) { return values + number * tile.rows * tile.width; }
};

}  // namespace

void Border::fill(const Call& call, int64_t n) const {
    const int64_t row_pixels = left + view.w + right;
    for (int64_t y = -top; y < view.h + bottom; ++y) {
        uint8_t* row = pixel(call, view, n, y, -left);
        if (y < 0 || y >= view.h) {
            std::memset(row, value, size_t(row_pixels * view.sx));
        } else {
            std::memset(row, value, size_t(left * view.sx));
            std::memset(row + (left + view.w) * view.sx, value, size_t(right * view.sx));
        }
    }
}

int Step::total_tasks() const {
    int64_t total = tasks;
    for (const Border& border : borders) total += border.view.n;
    return int(total);
}

void Step::run_any(const Call& call, int task) const {
    if (task < tasks) return run(call, task);
    int64_t n = task - tasks;
    for (const Border& border : borders) {
        if (n < border.view.n) return border.fill(call, n);
        n -= border.view.n;
    }
}

void Epilogue::touch(std::vector<int>& buffers) const {
    for (const View& view : operands) touch_place(view.place, buffers);
}

void Ending::touch(std::vector<int>& buffers) const {
    if (has_residual) touch_place(residual.place, buffers);
    if (has_wide) touch_place(wide.place, buffers);
    if (has_narrow) touch_place(narrow.place, buffers);
    epilogue.touch(buffers);
}

namespace {

// The pixels of a tile: `rows` of an n x h x w grid from flat index `first` on.
struct Span {
    int64_t n, y, x, h, w;
    int rows;

    Span(int64_t first, int64_t end, int64_t height, int64_t width, int most)
        : n(first / (width * height)), y(first / width % height), x(first % width), h(height), w(width),
          rows(int(std::min<int64_t>(most, end - first))) {}

    // Calls f(r, count, n, y, x) for every run of pixels within a row of the picture: the first of them and how many.
    template <typename F>
    void runs(F f) const {
        int64_t at_n = n, at_y = y, at_x = x;
        for (int r = 0; r < rows;) {
            const int count = int(std::min<int64_t>(rows - r, w - at_x));
            f(r, count, at_n, at_y, at_x);
            r += count;
            at_x = 0;
            if (++at_y == h) {
                at_y = 0;
                ++at_n;
            }
        }
    }

    void locate(Pixels& pixels) const {
        pixels.rows = rows;
        runs([&](int r, int count, int64_t at_n, int64_t at_y, int64_t at_x) {
            for (int i = 0; i < count; ++i) {
                pixels.n[r + i] = int32_t(at_n);
                pixels.y[r + i] = int32_t(at_y);
                pixels.x[r + i] = int32_t(at_x) + i;
            }
        });
    }

    void addresses(uint8_t* base, int64_t sn, int64_t sy, int64_t sx, uint8_t** out) const {
        runs([&](int r, int count, int64_t at_n, int64_t at_y, int64_t at_x) {
            uint8_t* at = base + at_n * sn + at_y * sy + at_x * sx;
            for (int i = 0; i < count; ++i, at += sx) out[r + i] = at;
        });
    }
};

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
        for (int64_t row = first_row; row < last_row; row += form.rows) {
            const Span span(row, last_row, out_h, out_w, form.rows);
            bound.move_to(span);
            uint8_t* from[kMaxTileRows];
            span.addresses(base, in.sn, step_y, step_x, from);
            for (int64_t b = start; b < start + blocks_at_once; ++b, meter.spend(tile_work)) {
                const Block& block = blocks[size_t(b)];
                const Block& next = blocks[row == first_row && size_t(b) + 1 < blocks.size() ? size_t(b) + 1 : size_t(b)];
                const ConvTile tile = {from, span.rows, block.input_channel, block.channel, taps.data(), int(taps.size()), steps,
                                       weights->data() + block.weights, block.blocks, init.data() + block.channel,
                                       weights->data() + next.weights};
                bound.run(*kernels, tile, registers);
            }
        }
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
    const int64_t block_bytes = int64_t(taps.size()) * form.width;
    Meter meter(call.watch);
    for (int64_t row = first_row; row < last_row; row += form.rows) {
        const Span span(row, last_row, out_h, out_w, form.rows);
        bound.move_to(span);
        uint8_t* from[kMaxTileRows];
        span.addresses(base, in.sn, step_y, step_x, from);
        for (int64_t channel = 0; channel < channels; channel += form.width) {
            const int blocks = int(std::min<int64_t>(form.width / form.lanes, ceil_div(channels - channel, form.lanes)));
            const DepthwiseTile tile = {from, span.rows, channel, taps.data(), int(taps.size()) / form.depth,
                                        weights->data() + channel / form.width * block_bytes, init.data() + channel, blocks};
            bound.run(*kernels, tile, registers);
            meter.spend(int64_t(taps.size()) * form.rows);
        }
    }
}

void DepthwiseStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    ending.touch(buffers);
}

void ProgramStep::run(const Call& call, int task) const {
    const Tile& form = kernels->tile;
    const int64_t first_row = task * row_chunk, last_row = std::min(first_row + row_chunk, n * h * w);
    const Bound bound(epilogue, call);
    Registers registers;
    Pixels pixels;
    Meter meter(call.watch);
    for (int64_t row = first_row; row < last_row; row += form.rows) {
        Span(row, last_row, h, w, form.rows).locate(pixels);
        for (int64_t channel = 0; channel < c; channel += form.width) {
            const int width = int(std::min<int64_t>(form.width, round_up(c - channel, form.lanes)));
            kernels->program(bound.program, pixels, int(channel), width, registers.first());
            meter.spend(bound.program.length * form.rows * 8);
        }
    }
}

void PoolStep::run(const Call& call, int task) const {
    constexpr int kAtOnce = 64;
    const int64_t channels = round_up(out.c, kernels->tile.lanes);
    Meter meter(call.watch);
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, out.n * out.h);
    for (int64_t row = first; row < last; ++row) {
        const int64_t n = row / out.h, oy = row % out.h;
        const int64_t y0 = std::max<int64_t>(oy * stride_y - pad_y, 0), y1 = std::min(oy * stride_y - pad_y + pool_y, in.h);
        for (int64_t ox = 0; ox < out.w; ++ox) {
            const int64_t x0 = std::max<int64_t>(ox * stride_x - pad_x, 0), x1 = std::min(ox * stride_x - pad_x + pool_x, in.w);
            uint8_t* to = pixel(call, out, n, oy, ox);
            const uint8_t* pointers[kAtOnce];
            int count = 0;
            for (int64_t y = y0; y < y1; ++y)
                for (int64_t x = x0; x < x1; ++x) {
                    if (count == kAtOnce) {  // the largest of what was seen goes on as one value
                        kernels->max_pool(pointers, count, channels, in.type, to);
                        meter.spend(kAtOnce * channels);
                        pointers[0] = to;
                        count = 1;
                    }
                    pointers[count++] = pixel(call, in, n, y, x);
                }
            kernels->max_pool(pointers, count, channels, in.type, to);
            meter.spend(count * channels / 8);
        }
    }
}

void PoolStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void SumStep::run(const Call& call, int task) const {
    const Tile& form = kernels->tile;
    const int64_t blocks = ceil_div(in.c, form.width);
    const int64_t n = task / blocks, channel = task % blocks * form.width;
    const int width = int(std::min<int64_t>(form.width, round_up(in.c - channel, form.lanes)));
    const Bound bound(epilogue, call);
    Registers registers;
    Pixels pixels;
    Span(n, n + 1, 1, 1, 1).locate(pixels);
    int32_t* sums = registers.at(epilogue.input, form);
    std::fill_n(sums, form.width, 0);
    Meter meter(call.watch);
    for (int64_t y = 0; y < in.h; ++y, meter.spend(in.w * width / 4))
        kernels->sum(pixel(call, in, n, y, 0) + channel * store_bytes(in.type), in.w, in.sx, width, in.type, sums);
    kernels->program(bound.program, pixels, int(channel), width, registers.first());
}

void SumStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    epilogue.touch(buffers);
}

void CopyStep::run(const Call& call, int task) const {
    const int64_t n = task / out.h, y = task % out.h;
    Meter meter(call.watch);
    for (int64_t x = 0; x < out.w; ++x, meter.spend(out.c)) {
        const uint8_t* from = pixel(call, in, n, y / scale, x / scale);
        uint8_t* to = pixel(call, out, n, y, x);
        if (in.type == out.type) {
            std::memcpy(to, from, size_t(out.c * store_bytes(out.type)));
        } else {
            for (int64_t c = 0; c < out.c; ++c) store(to, out.type, c, load(from, in.type, c));
        }
    }
}

void CopyStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

namespace {

// Clipped values of one row of one channel.
template <typename To, typename From>
void clip_row(const From* __restrict from, int32_t limit, int32_t bias, int64_t width, To* __restrict to) {
    if (sizeof(From) == 1 && sizeof(To) == 1) {  // in bytes all the way
        const From hi = From(limit), lo = From(-limit), flip = From(bias);
        for (int64_t x = 0; x < width; ++x) {
            const From v = from[x];
            to[x] = To((v < lo ? lo : v > hi ? hi : v) ^ flip);
        }
        return;
    }
    for (int64_t x = 0; x < width; ++x) {
        const int32_t v = from[x];
        to[x] = To((v < -limit ? -limit : v > limit ? limit : v) + bias);
    }
}

// One row of all channels: clipped plane by plane, which vectorizes, then interleaved.
template <typename To, typename From>
void read_input_row(const Kernels& kernels, const From* source, int32_t limit, int32_t bias, int64_t channels, int64_t plane,
                    int64_t width, To* __restrict to, int64_t padded, To* __restrict planes) {
    for (int64_t c = 0; c < channels; ++c) clip_row(source + c * plane, limit, bias, width, planes + c * width);
    if (padded == 3 && sizeof(To) == 1) return kernels.interleave3(reinterpret_cast<uint8_t*>(planes), width, reinterpret_cast<uint8_t*>(to));
    for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < channels; ++c) to[x * padded + c] = planes[c * width + x];
        for (int64_t c = channels; c < padded; ++c) to[x * padded + c] = To(bias);
    }
}

template <typename To, typename From>
void read_input_view(const InputStep& step, const From* source, const View& view, int32_t bias, uint8_t* scratch, uint8_t* to) {
    read_input_row(*step.kernels, source, step.limit, bias, step.c, step.h * step.w, step.w, reinterpret_cast<To*>(to),
                   view.sx / int64_t(sizeof(To)), reinterpret_cast<To*>(scratch));
}

template <typename T>
void read_input(const InputStep& step, const Call& call, uint8_t* scratch, int64_t index) {
    const T* source = static_cast<const T*>(call.input);
    const int64_t n = index / step.h, y = index % step.h, plane = step.h * step.w;
    for (const View& view : step.views) {
        const T* row = source + n * step.c * plane + y * step.w;
        uint8_t* to = pixel(call, view, n, y, 0);
        if (view.type == Store::U8) read_input_view<uint8_t>(step, row, view, 128, scratch, to);
        else if (view.type == Store::I16) read_input_view<int16_t>(step, row, view, 0, scratch, to);
        else read_input_view<int32_t>(step, row, view, 0, scratch, to);
    }
    for (const Plain& plain : step.plains) {
        int32_t* to = call.at<int32_t>(plain.place);
        for (int64_t c = 0; c < step.c; ++c) {
            const int64_t at = (n * step.c + c) * plane + y * step.w;
            for (int64_t x = 0; x < step.w; ++x) to[at + x] = std::clamp<int32_t>(source[at + x], -step.limit, step.limit);
        }
    }
}

}  // namespace

void InputStep::run(const Call& call, int task) const {
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, n * h);
    uint8_t* own = views.empty() ? nullptr : call.at(scratch) + task * scratch_bytes();
    Meter meter(call.watch);
    for (int64_t row = first; row < last; ++row, meter.spend(c * w)) {
        if (call.input_is_int8) read_input<int8_t>(*this, call, own, row);
        else read_input<int32_t>(*this, call, own, row);
    }
}

void InputStep::touch(std::vector<int>& buffers) const {
    touch_place(scratch, buffers);
    for (const View& view : views) touch_place(view.place, buffers);
    for (const Plain& plain : plains) touch_place(plain.place, buffers);
}

void ToPlainStep::run(const Call& call, int task) const {
    const int64_t n = task / in.h, y = task % in.h, plane = in.h * in.w;
    int32_t* to = call.at<int32_t>(out.place) + n * in.c * plane + y * in.w;
    Meter meter(call.watch);
    for (int64_t x = 0; x < in.w; ++x, meter.spend(in.c)) {
        const uint8_t* from = pixel(call, in, n, y, x);
        for (int64_t c = 0; c < in.c; ++c) to[c * plane + x] = load(from, in.type, c);
    }
}

void ToPlainStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void FromPlainStep::run(const Call& call, int task) const {
    const int64_t n = task / out.h, y = task % out.h, plane = out.h * out.w;
    const int32_t* from = call.at<int32_t>(in.place) + n * out.c * plane + y * out.w;
    const int64_t padded = out.sx / store_bytes(out.type);
    Meter meter(call.watch);
    for (int64_t x = 0; x < out.w; ++x, meter.spend(out.c)) {
        uint8_t* to = pixel(call, out, n, y, x);
        for (int64_t c = 0; c < out.c; ++c) store(to, out.type, c, from[c * plane + x]);
        for (int64_t c = out.c; c < padded; ++c) store(to, out.type, c, 0);
    }
}

void FromPlainStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void ReferenceStep::run(const Call& call, int) const {
    std::vector<In> inputs;
    std::vector<Out> outputs;
    for (const Plain& plain : in) inputs.push_back({call.at<int32_t>(plain.place), plain.shape});
    for (const Plain& plain : out) outputs.push_back({call.at<int32_t>(plain.place), plain.shape});
    Meter meter(call.watch);
    evaluate(op, attrs, inputs, outputs, meter);
}

void ReferenceStep::touch(std::vector<int>& buffers) const {
    for (const Plain& plain : in) touch_place(plain.place, buffers);
    for (const Plain& plain : out) touch_place(plain.place, buffers);
}

void OutputStep::run(const Call& call, int) const {
    int8_t* narrow = static_cast<int8_t*>(call.outputs[index]);
    int32_t* wide = static_cast<int32_t*>(call.outputs[index]);
    Meter meter(call.watch);
    const auto put = [&](int64_t i, int32_t value) {
        if (as_int8) narrow[i] = int8_t(value);
        else wide[i] = value;
    };
    if (!from_view) {
        const int32_t* from = call.at<int32_t>(plain.place);
        constexpr int64_t kPiece = int64_t(1) << 18;
        for (int64_t first = 0, count = elements(plain.shape); first < count; first += kPiece, meter.spend(kPiece))
            for (int64_t i = first; i < std::min(first + kPiece, count); ++i) put(i, from[i]);
        return;
    }
    const int64_t plane = view.h * view.w;
    for (int64_t n = 0; n < view.n; ++n)
        for (int64_t y = 0; y < view.h; ++y)
            for (int64_t x = 0; x < view.w; ++x, meter.spend(view.c)) {
                const uint8_t* from = pixel(call, view, n, y, x);
                for (int64_t c = 0; c < view.c; ++c) put((n * view.c + c) * plane + y * view.w + x, load(from, view.type, c));
            }
}

void OutputStep::touch(std::vector<int>& buffers) const {
    touch_place(from_view ? view.place : plain.place, buffers);
}

}  // namespace cvm
