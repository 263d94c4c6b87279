// Steps that bring values from one layout to another, and those that run by scalar definitions.
#include <cstring>

#include "exec/access.h"

namespace cvm {

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
    op->evaluate(attrs, inputs, outputs, meter);
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
