// The scalar arithmetic of the specification, on int32 that wraps, and what is made of any such function.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "ops/rules.h"

namespace cvm::rules {

inline int32_t limit_to(int64_t value, int precision) {
    const int64_t high = magnitude(precision);
    return int32_t(std::clamp(value, -high, high));
}

inline int32_t relu(const Attrs&, int32_t x) { return std::max(x, 0); }
inline int32_t absolute(const Attrs&, int32_t x) { return wrap(std::abs(int64_t(x))); }
inline int32_t negative(const Attrs&, int32_t x) { return wrap(-int64_t(x)); }
inline int32_t bits(const Attrs&, int32_t x) { return std::max(bit_length(uint64_t(std::abs(int64_t(x)))), 1); }
inline int32_t clip(const Attrs& a, int32_t x) { return int32_t(std::clamp<int64_t>(x, a.a_min, a.a_max)); }
inline int32_t cvm_clip(const Attrs& a, int32_t x) { return limit_to(x, a.precision); }
inline int32_t right_shift(const Attrs& a, int32_t x) {
    const int32_t half = x >> (a.shift_bit - 1);
    return limit_to((half >> 1) + (half & 1), a.precision);
}
inline int32_t left_shift(const Attrs& a, int32_t x) {
    return limit_to(int64_t(x) * (int64_t(1) << a.shift_bit), a.precision);
}

inline int32_t add(int32_t a, int32_t b) { return wrap(int64_t(a) + b); }
inline int32_t sub(int32_t a, int32_t b) { return wrap(int64_t(a) - b); }
inline int32_t mul(int32_t a, int32_t b) { return wrap(int64_t(a) * b); }
inline int32_t larger(int32_t a, int32_t b) { return std::max(a, b); }
inline int32_t div(int32_t a, int32_t b) { return b == 0 ? 0 : wrap(int64_t(a) / b); }
inline int32_t greater(int32_t a, int32_t b) { return a > b; }

template <int32_t (*f)(const Attrs&, int32_t)>
void evaluate_each(const Attrs& a, const Inputs& in, const Outputs& out, Meter& meter) {
    for (int64_t i = 0, count = elements(in[0].shape); i < count; ++i, meter.spend(2)) out[0].data[i] = f(a, in[0].data[i]);
}

// The range of a function that does not decrease.
template <int32_t (*f)(const Attrs&, int32_t)>
Range rising_range(const Attrs& a, const Arguments& in, const Shape& out) {
    return map(in[0].seen_from(out), [&a](int64_t lo, int64_t hi) {
        return std::pair<int64_t, int64_t>(f(a, int32_t(lo)), f(a, int32_t(hi)));
    });
}

// Walks an output with the places of both inputs in step: f(element, a, b).
template <typename F>
void walk_broadcast(const Inputs& in, const Out& out, Meter& meter, F f) {
    const size_t rank = out.shape.size();
    // Element strides of both inputs along the axes of the output; 0 where an axis is broadcast.
    Shape strides[2];
    for (int k = 0; k < 2; ++k) {
        const Shape& shape = in[size_t(k)].shape;
        strides[k].assign(rank, 0);
        int64_t stride = 1;
        for (size_t i = shape.size(); i-- > 0;) {
            if (shape[i] > 1) strides[k][i + rank - shape.size()] = stride;
            stride *= shape[i];
        }
    }
    Shape index(rank, 0);
    int64_t a = 0, b = 0;
    for (int64_t i = 0, count = elements(out.shape); i < count; ++i, meter.spend(4)) {
        f(i, a, b);
        for (size_t axis = rank; axis-- > 0;) {
            a += strides[0][axis];
            b += strides[1][axis];
            if (++index[axis] < out.shape[axis]) break;
            a -= strides[0][axis] * out.shape[axis];
            b -= strides[1][axis] * out.shape[axis];
            index[axis] = 0;
        }
    }
}

template <int32_t (*f)(int32_t, int32_t)>
void evaluate_pairs(const Attrs&, const Inputs& in, const Outputs& out, Meter& meter) {
    walk_broadcast(in, out[0], meter,
                   [&](int64_t i, int64_t a, int64_t b) { out[0].data[i] = f(in[0].data[a], in[1].data[b]); });
}

template <Code code>
std::optional<Elementwise> plain_code(const Attrs&) {
    return Elementwise{code};
}

}  // namespace cvm::rules
