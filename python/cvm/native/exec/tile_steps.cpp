// Programs, pools, sums and the largest of channels.
#include "exec/access.h"

namespace cvm {

void ProgramStep::run(const Call& call, int task) const {
    const Tile& form = kernels->tile;
    const int64_t first_row = task * row_chunk, last_row = std::min(first_row + row_chunk, n * h * w);
    const Bound bound(epilogue, call);
    Registers registers;
    Pixels pixels;
    Meter meter(call.watch);
    if (flat) {
        pixels.rows = 1;
        pixels.n[0] = int32_t(task / h);
        pixels.y[0] = int32_t(task % h);
        for (int64_t x = 0; x < w; x += form.width, meter.spend(bound.program.length * 8)) {
            pixels.x[0] = int32_t(x);
            const int width = int(std::min<int64_t>(form.width, round_up(w - x, form.lanes)));
            kernels->program(bound.program, pixels, 0, width, registers.first());
        }
        return;
    }
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

void ChannelMaxStep::run(const Call& call, int task) const {
    constexpr int64_t kAtOnce = 64;
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, out.n * out.h);
    Meter meter(call.watch);
    with_type(out.type, [&](auto* type) {
        using To = std::remove_pointer_t<decltype(type)>;
        int32_t most[kAtOnce];
        for (int64_t row = first; row < last; ++row, meter.spend(in.w * in.c / 8))
            for (int64_t x = 0; x < out.w; x += kAtOnce) {
                const int64_t count = std::min(kAtOnce, out.w - x);
                kernels->channel_max(pixel(call, in, row / out.h, row % out.h, x), in.sx, count, in.c, in.type, most);
                uint8_t* to = pixel(call, out, row / out.h, row % out.h, x);
                for (int64_t i = 0; i < count; ++i, to += out.sx) *reinterpret_cast<To*>(to) = stored_as<To>(most[i]);
            }
    });
}

void ChannelMaxStep::touch(std::vector<int>& buffers) const {
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

}  // namespace cvm
