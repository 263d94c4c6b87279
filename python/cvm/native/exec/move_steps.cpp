// Steps that bring values from one layout to another, and those that run by scalar definitions.
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "exec/access.h"

namespace cvm {

namespace {

template <typename F>
void with_types(Store from, Store to, F f) {
    with_type(from, [&](auto* from_type) { with_type(to, [&](auto* to_type) { f(from_type, to_type); }); });
}

template <typename From, typename To>
void copy_channels(const uint8_t* from, uint8_t* to, int64_t channels) {
    if constexpr (std::is_same_v<From, To>) {
        std::memcpy(to, from, size_t(channels) * sizeof(To));
    } else {
        const From* values = reinterpret_cast<const From*>(from);
        for (int64_t c = 0; c < channels; ++c) reinterpret_cast<To*>(to)[c] = stored_as<To>(value_of(values[c]));
    }
}

// Channels of a pixel that are read together: padding of channels or the slack behind a tensor lies behind the last.
constexpr int64_t kChannels = 16;
constexpr int64_t kPixels = 32;
constexpr int64_t kLine = 64;                    // bytes of a line of the cache
constexpr int64_t kCached = int64_t(1) << 23;    // bytes that later steps may still find in the cache

template <typename T>
using Four __attribute__((vector_size(4 * sizeof(T)))) = T;

// Four channels of a pixel.
template <typename From>
Four<int32_t> four_values(const uint8_t* from) {
    Four<From> stored;
    std::memcpy(&stored, from, sizeof(stored));
    return __builtin_convertvector(stored, Four<int32_t>) + value_of(From(0));
}

template <typename To>
void put_four(Four<int32_t> values, To* to) {
    const Four<To> stored = __builtin_convertvector(values, Four<To>);
    std::memcpy(to, &stored, sizeof(stored));
}

// Four channels of four pixels, `stride` bytes apart, to four rows of four.
template <typename From, typename To>
void part_four(const uint8_t* from, int64_t stride, To (*to)[kPixels]) {
    const Four<int32_t> a = four_values<From>(from), b = four_values<From>(from + stride);
    const Four<int32_t> c = four_values<From>(from + 2 * stride), d = four_values<From>(from + 3 * stride);
    const Four<int32_t> ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four<int32_t> cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    put_four(__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), to[0]);
    put_four(__builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7), to[1]);
    put_four(__builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5), to[2]);
    put_four(__builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7), to[3]);
}

// Writes a run of values. Where they are written `once`, not to be read soon, the cache is left to others: whole lines then
// go to memory without being read from it first.
template <typename To>
void put_run(const To* values, int64_t count, To* to, bool once) {
#ifdef __SSE2__
    if (once && reinterpret_cast<uintptr_t>(to) % kLine == 0 && size_t(count) * sizeof(To) % kLine == 0) {
        for (int64_t i = 0; i < count; i += int64_t(sizeof(__m128i) / sizeof(To)))
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_load_si128(reinterpret_cast<const __m128i*>(values + i)));
        return;
    }
#endif
    (void)once;
    std::copy_n(values, count, to);
}

// A row of pixels `stride` bytes apart to rows of its channels, `plane` values apart: tile by tile, so that both sides are
// met in runs.
template <typename From, typename To>
void part_row(const uint8_t* from, int64_t stride, int64_t width, int64_t channels, To* to, int64_t plane, bool once) {
    alignas(16) To tile[kChannels][kPixels];
    for (int64_t x = 0; x < width; x += kPixels) {
        const int64_t pixels = std::min(kPixels, width - x), fours = pixels / 4 * 4;
        for (int64_t c = 0; c < channels; c += kChannels) {
            const int64_t there = std::min(kChannels, round_up(channels - c, int64_t(4)));
            for (int64_t i = 0; i < fours; i += 4)
                for (int64_t k = 0; k < there; k += 4)
                    part_four<From>(from + (x + i) * stride + (c + k) * int64_t(sizeof(From)), stride,
                                    reinterpret_cast<To(*)[kPixels]>(&tile[k][i]));
            for (int64_t i = fours; i < pixels; ++i) {
                const From* values = reinterpret_cast<const From*>(from + (x + i) * stride) + c;
                for (int64_t k = 0; k < there; ++k) tile[k][i] = To(value_of(values[k]));
            }
            for (int64_t k = 0; k < std::min(kChannels, channels - c); ++k) put_run(tile[k], pixels, to + (c + k) * plane + x, once);
        }
    }
}

// f(picture, row) for the rows of a view that are a task's.
template <typename F>
void over_rows(const Call& call, const View& view, int64_t rows_per_task, int task, F f) {
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, view.n * view.h);
    Meter meter(call.watch);
    for (int64_t row = first; row < last; ++row, meter.spend(view.w * view.c)) f(row / view.h, row % view.h);
}

// The same where a picture is one pixel: nothing is turned.
template <typename To>
void widen_rows(const Call& call, const View& view, int64_t rows_per_task, int task, To* to) {
    constexpr int64_t kPiece = int64_t(1) << 18;
    Meter meter(call.watch);
    with_type(view.type, [&](auto* type) {
        using From = std::remove_pointer_t<decltype(type)>;
        over_rows(call, view, rows_per_task, task, [&](int64_t n, int64_t) {
            const From* values = reinterpret_cast<const From*>(pixel(call, view, n, 0, 0));
            for (int64_t at = 0; at < view.c; at += kPiece, meter.spend(kPiece))
                for (int64_t c = at; c < std::min(at + kPiece, view.c); ++c) to[n * view.c + c] = To(value_of(values[c]));
        });
    });
}

// A task's rows of a view as those of a row-major tensor.
template <typename To>
void part_rows(const Call& call, const View& view, int64_t rows_per_task, int task, To* to) {
    const int64_t plane = view.h * view.w;
    if (plane == 1) return widen_rows(call, view, rows_per_task, task, to);
    const bool once = view.n * view.c * plane * int64_t(sizeof(To)) > kCached;
    with_type(view.type, [&](auto* type) {
        using From = std::remove_pointer_t<decltype(type)>;
        over_rows(call, view, rows_per_task, task, [&](int64_t n, int64_t y) {
            const uint8_t* from = pixel(call, view, n, y, 0);
            To* row = to + n * view.c * plane + y * view.w;
            if (view.c > 1 || view.sx > int64_t(sizeof(From))) return part_row<From>(from, view.sx, view.w, view.c, row, plane, once);
            for (int64_t x = 0; x < view.w; ++x) row[x] = To(value_of(reinterpret_cast<const From*>(from)[x]));
        });
    });
#ifdef __SSE2__
    if (once) _mm_sfence();  // before others are told that it is done
#endif
}

}  // namespace

void CopyStep::run(const Call& call, int task) const {
    with_types(in.type, out.type, [&](auto* from_type, auto* to_type) {
        using From = std::remove_pointer_t<decltype(from_type)>;
        using To = std::remove_pointer_t<decltype(to_type)>;
        over_rows(call, out, rows_per_task, task, [&](int64_t n, int64_t y) {
            for (int64_t x = 0; x < out.w; ++x) copy_channels<From, To>(pixel(call, in, n, y, x), pixel(call, out, n, y, x), out.c);
        });
    });
}

void CopyStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void InterleaveStep::run(const Call& call, int task) const {
    with_types(in.type, out.type, [&](auto* from_type, auto* to_type) {
        using From = std::remove_pointer_t<decltype(from_type)>;
        using To = std::remove_pointer_t<decltype(to_type)>;
        over_rows(call, out, rows_per_task, task, [&](int64_t n, int64_t y) {
            for (int64_t x = 0; x < out.w; ++x) {
                const int64_t start = y % rows * row + x % columns * column;
                const uint8_t* from = pixel(call, in, n, y / rows, x / columns) + start * int64_t(sizeof(From));
                uint8_t* to = pixel(call, out, n, y, x);
                if (channel == 1) {
                    copy_channels<From, To>(from, to, out.c);
                } else {
                    const From* values = reinterpret_cast<const From*>(from);
                    for (int64_t c = 0; c < out.c; ++c) reinterpret_cast<To*>(to)[c] = stored_as<To>(value_of(values[c * channel]));
                }
            }
        });
    });
}

void InterleaveStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void ToPlainStep::run(const Call& call, int task) const {
    part_rows(call, in, rows_per_task, task, call.at<int32_t>(out.place));
}

void ToPlainStep::touch(std::vector<int>& buffers) const {
    touch_place(in.place, buffers);
    touch_place(out.place, buffers);
}

void FromPlainStep::run(const Call& call, int task) const {
    const int64_t plane = out.h * out.w, padded = out.sx / store_bytes(out.type);
    const int32_t* source = call.at<int32_t>(in.place);
    with_type(out.type, [&](auto* type) {
        using To = std::remove_pointer_t<decltype(type)>;
        over_rows(call, out, rows_per_task, task, [&](int64_t n, int64_t y) {
            const int32_t* from = source + n * out.c * plane + y * out.w;
            To* to = reinterpret_cast<To*>(pixel(call, out, n, y, 0));
            for (int64_t x0 = 0; x0 < out.w; x0 += kPixels) {  // tiles of pixels, for the same reason
                const int64_t x1 = std::min(x0 + kPixels, out.w);
                for (int64_t c = 0; c < out.c; ++c)
                    for (int64_t x = x0; x < x1; ++x) to[x * padded + c] = stored_as<To>(from[c * plane + x]);
                for (int64_t c = out.c; c < padded; ++c)
                    for (int64_t x = x0; x < x1; ++x) to[x * padded + c] = stored_as<To>(0);
            }
        });
    });
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

void OutputStep::run(const Call& call, int task) const {
    const auto put = [&](auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        if (from_view) return part_rows(call, view, rows_per_task, task, to);
        const int32_t* from = call.at<int32_t>(plain.place);
        const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, elements(plain.shape));
        constexpr int64_t kPiece = int64_t(1) << 18;
        Meter meter(call.watch);
        for (int64_t at = first; at < last; at += kPiece, meter.spend(kPiece))
            for (int64_t i = at; i < std::min(at + kPiece, last); ++i) to[i] = To(from[i]);
    };
    if (as_int8) put(static_cast<int8_t*>(call.outputs[index]));
    else put(static_cast<int32_t*>(call.outputs[index]));
}

void OutputStep::touch(std::vector<int>& buffers) const {
    touch_place(from_view ? view.place : plain.place, buffers);
}

}  // namespace cvm
