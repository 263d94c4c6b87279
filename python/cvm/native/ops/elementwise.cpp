// Functions of one tensor, and of two tensors that broadcast.
#include "ops/elementwise.h"

namespace cvm::rules {
namespace {

using Pair = std::pair<int64_t, int64_t>;

Elementwise limited(Code code, int shift, int64_t lo, int64_t hi) {
    Elementwise result{code};
    result.shift = shift;
    result.lo = lo;
    result.hi = hi;
    return result;
}

template <typename F>
Range of_both(const Arguments& in, const Shape& out, F f) {
    return combine(in[0].seen_from(out), in[1].seen_from(out), f);
}

// Magnitudes of an interval.
Pair magnitudes(int64_t lo, int64_t hi) {
    const int64_t least = lo <= 0 && hi >= 0 ? 0 : std::min(std::abs(lo), std::abs(hi));
    return {least, std::max(std::abs(lo), std::abs(hi))};
}

}  // namespace

void clip_attributes(AttributeReader& read, Attrs& a) {
    a.a_min = read.integer("a_min");
    a.a_max = read.integer("a_max");
    require(a.a_min < a.a_max, "a_min must be less than a_max");
}

void precision_attributes(AttributeReader& read, Attrs& a) {
    const int64_t precision = read.integer("precision");
    check_within("precision", precision, 1, 32);
    a.precision = int(precision);
    read.boolean("is_sign", true);
}

void shift_attributes(AttributeReader& read, Attrs& a) {
    precision_attributes(read, a);
    const int64_t shift = read.integer("shift_bit");
    check_within("shift_bit", shift, 1, 32);
    a.shift_bit = int(shift);
}

Shapes equal_shapes(const Attrs&, const Shapes& in) {
    require(in[0] == in[1], "shapes ", to_string(in[0]), " and ", to_string(in[1]), " differ");
    return {in[0]};
}

Shapes broadcast_shapes(const Attrs&, const Shapes& in) {
    const Shape &a = in[0], &b = in[1];
    const size_t rank = std::max(a.size(), b.size());
    Shape out(rank);
    for (size_t i = 0; i < rank; ++i) {
        const int64_t m = i + a.size() < rank ? 1 : a[i + a.size() - rank];
        const int64_t n = i + b.size() < rank ? 1 : b[i + b.size() - rank];
        require(m == n || m == 1 || n == 1, "shapes ", to_string(a), " and ", to_string(b), " do not broadcast");
        out[i] = std::max(m, n);
    }
    return {out};
}

Precisions bits_precision(const Attrs&, const Precisions&, const Shapes&, const Shapes&) { return {6}; }

Precisions clip_precision(const Attrs& a, const Precisions&, const Shapes&, const Shapes&) {
    return {bit_length(uint64_t(std::max(std::abs(a.a_min), std::abs(a.a_max)) + 1)) + 1};
}

Precisions given_precision(const Attrs& a, const Precisions&, const Shapes&, const Shapes&) { return {a.precision}; }

Precisions left_shift_precision(const Attrs& a, const Precisions& p, const Shapes&, const Shapes&) {
    require(p[0] + a.shift_bit <= 32, "input precision ", p[0], " + shift_bit ", a.shift_bit, " exceeds 32");
    return {a.precision};
}

Precisions sum_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) { return {std::max(p[0], p[1]) + 1}; }

Precisions product_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) { return {p[0] + p[1]}; }

Precisions larger_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) { return {std::max(p[0], p[1])}; }

Precisions greater_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) {
    require(p[0] >= 2, "the first input needs a precision of at least 2 to hold the result 1");
    return {p[0]};
}

Range absolute_range(const Attrs& a, const Arguments& in, const Shape& out) {
    return map(in[0].seen_from(out), [&a](int64_t lo, int64_t hi) {
        const auto [least, most] = magnitudes(lo, hi);
        return Pair(absolute(a, int32_t(least)), absolute(a, int32_t(most)));
    });
}

Range bits_range(const Attrs& a, const Arguments& in, const Shape& out) {
    return map(in[0].seen_from(out), [&a](int64_t lo, int64_t hi) {
        const auto [least, most] = magnitudes(lo, hi);
        return Pair(bits(a, int32_t(least)), bits(a, int32_t(most)));
    });
}

Range negative_range(const Attrs&, const Arguments& in, const Shape& out) {
    return map(in[0].seen_from(out), [](int64_t lo, int64_t hi) { return Pair(-hi, -lo); });
}

Range add_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t c, int64_t d) { return Pair(a + c, b + d); });
}

Range sub_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t c, int64_t d) { return Pair(a - d, b - c); });
}

Range mul_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t c, int64_t d) { return Pair(std::minmax({a * c, a * d, b * c, b * d})); });
}

Range larger_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t c, int64_t d) { return Pair(std::max(a, c), std::max(b, d)); });
}

Range div_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t, int64_t) {
        const int64_t most = std::max(std::abs(a), std::abs(b));
        return Pair(-most, most);
    });
}

Range greater_range(const Attrs&, const Arguments& in, const Shape& out) {
    return of_both(in, out, [](int64_t a, int64_t b, int64_t c, int64_t d) { return Pair(a > d, b > c); });
}

bool one_picture_constants(const Attrs&, const Arguments& in, const Shape& out) {
    return std::all_of(in.begin(), in.end(), [&out](const Known& known) {
        const bool full = known.shape.size() == out.size();
        return known.constant ? !full || known.shape[0] == 1 : full;
    });
}

std::optional<Elementwise> relu_code(const Attrs&) { return limited(Code::Clip, 0, 0, INT32_MAX); }

std::optional<Elementwise> clip_code(const Attrs& a) { return limited(Code::Clip, 0, a.a_min, a.a_max); }

std::optional<Elementwise> cvm_clip_code(const Attrs& a) {
    return limited(Code::Clip, 0, -magnitude(a.precision), magnitude(a.precision));
}

std::optional<Elementwise> right_shift_code(const Attrs& a) {
    return limited(Code::Shift, a.shift_bit, -magnitude(a.precision), magnitude(a.precision));
}

std::optional<Elementwise> left_shift_code(const Attrs& a) {
    return limited(Code::LeftShift, a.shift_bit, -magnitude(a.precision), magnitude(a.precision));
}

}  // namespace cvm::rules
