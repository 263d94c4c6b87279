// The caller's tensor, clipped and brought into the layouts that are read.
#include "exec/access.h"

namespace cvm {
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

}  // namespace cvm
