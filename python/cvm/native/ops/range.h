// Proven intervals for the values of a tensor, per channel (axis 1) where that is known.
#pragma once

#include <algorithm>
#include <vector>

#include "graph/graph.h"

namespace cvm {

struct Range {
    std::vector<int64_t> lo, hi;  // one value for the whole tensor, or one per channel

    int64_t min() const;
    int64_t max() const;
    int64_t low(int64_t channel) const { return lo[lo.size() > 1 ? size_t(channel) : 0]; }
    int64_t high(int64_t channel) const { return hi[hi.size() > 1 ? size_t(channel) : 0]; }
    bool within(int64_t low, int64_t high) const { return min() >= low && max() <= high; }
};

// One interval for all channels.
inline Range whole(int64_t lo, int64_t hi) { return {{lo}, {hi}}; }
inline Range collapse(const Range& r) { return whole(r.min(), r.max()); }

// An input of an operator, as far as it is known before a run.
struct Known {
    const Shape& shape;
    const Tensor* constant;  // nullptr: it depends on the model's input, or its value is not kept
    const Range* range;      // of what is not constant; nullptr where nobody asks for it

    // The range as seen from a tensor of shape `out` that the input broadcasts to.
    Range seen_from(const Shape& out) const;
    Range own() const { return seen_from(shape); }
};

// f(lo, hi) per channel.
template <typename F>
Range map(const Range& x, F f) {
    Range r;
    for (size_t c = 0; c < x.lo.size(); ++c) {
        const auto [lo, hi] = f(x.lo[c], x.hi[c]);
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

// f(lo, hi, lo, hi) per channel of both.
template <typename F>
Range combine(const Range& a, const Range& b, F f) {
    Range r;
    const size_t count = std::max(a.lo.size(), b.lo.size());
    for (size_t c = 0; c < count; ++c) {
        const auto [lo, hi] = f(a.low(int64_t(c)), a.high(int64_t(c)), b.low(int64_t(c)), b.high(int64_t(c)));
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

}  // namespace cvm
