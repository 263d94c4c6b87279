// What many operators share.
#include <algorithm>
#include <cstring>

#include "ops/rules.h"

namespace cvm::rules {

static constexpr int64_t kPiece = int64_t(1) << 18;

void no_attributes(AttributeReader&, Attrs&) {}

Shapes same_shape(const Attrs&, const Shapes& in) { return {in[0]}; }

Precisions same_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) { return {p[0]}; }

Range same_range(const Attrs&, const Arguments& in, const Shape& out) { return in[0].seen_from(out); }

Range moved_range(const Attrs&, const Arguments& in, const Shape&) { return collapse(in[0].own()); }

Range any_range(const Attrs&, const Arguments&, const Shape&) { return whole(INT64_MIN, INT64_MAX); }

Range hull(const Known* first, const Known* last) {
    int64_t lo = INT64_MAX, hi = INT64_MIN;
    for (; first != last; ++first) {
        const Range r = first->own();
        lo = std::min(lo, r.min());
        hi = std::max(hi, r.max());
    }
    return whole(lo, hi);
}

bool always(const Attrs&, const Arguments&, const Shape&) { return true; }

bool none_constant(const Attrs&, const Arguments& in, const Shape&) {
    return std::none_of(in.begin(), in.end(), [](const Known& known) { return known.constant != nullptr; });
}

void copy(int32_t* to, const int32_t* from, int64_t count, Meter& meter) {
    for (int64_t at = 0; at < count; at += kPiece) {
        const int64_t piece = std::min(kPiece, count - at);
        meter.spend(piece);
        std::memcpy(to + at, from + at, size_t(piece) * sizeof(int32_t));
    }
}

void fill(int32_t* to, int64_t count, int32_t value, Meter& meter) {
    for (int64_t at = 0; at < count; at += kPiece) {
        const int64_t piece = std::min(kPiece, count - at);
        meter.spend(piece);
        std::fill_n(to + at, piece, value);
    }
}

std::vector<int32_t> numbered(int64_t count) {
    return numbered(count, [](int64_t i) { return i; });
}

void check_within(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) fail("attribute ", name, ": ", value, " is outside [", low, ", ", high, "]");
}

void check_pair(const char* name, const Shape& values, int64_t low) {
    if (values.size() != 2) fail("attribute ", name, " must have two values");
    for (int64_t value : values) check_within(name, value, low, kMaxWindow);
}

}  // namespace cvm::rules
