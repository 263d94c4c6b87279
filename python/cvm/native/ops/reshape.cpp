// reshape, squeeze, expand_dims, flatten: other shapes of the same values in the same order.
#include <optional>

#include "ops/axes.h"
#include "ops/rules.h"

namespace cvm::rules {

void reshape_attributes(AttributeReader& read, Attrs& a) {
    a.shape = read.tuple("shape");
    require(!a.shape.empty(), "attribute shape is empty");
}

void expand_attributes(AttributeReader& read, Attrs& a) {
    a.axis = read.integer("axis");
    a.num_newaxis = read.integer("num_newaxis", 1);
    check_within("num_newaxis", a.num_newaxis, 1, kMaxWindow);
}

Shapes reshape_shapes(const Attrs& a, const Shapes& in) {
    const Shape& source = in[0];
    // Products stay below 2^62: each factor is checked against the total before it is multiplied in.
    const int64_t total = elements(source);
    Shape out;
    std::optional<size_t> unknown;
    size_t at = 0;
    const auto take = [&]() {
        require(at < source.size(), "shape ", to_string(a.shape), " asks for more dimensions than ", to_string(source), " has");
        return source[at++];
    };
    for (size_t i = 0; i < a.shape.size(); ++i) {
        const int64_t code = a.shape[i];
        if (code > 0) {
            out.push_back(code);
            ++at;
        } else if (code == 0) {
            out.push_back(take());
        } else if (code == -1) {
            require(!unknown, "shape ", to_string(a.shape), ": only one dimension can be -1");
            unknown = out.size();
            out.push_back(1);
            ++at;
        } else if (code == -2) {
            while (at < source.size()) out.push_back(source[at++]);
        } else if (code == -3) {
            const int64_t left = take(), right = take();
            out.push_back(left * right);
        } else if (code == -4) {
            require(i + 2 < a.shape.size(), "shape ", to_string(a.shape), ": -4 needs two dimensions after it");
            const int64_t size = take();
            int64_t left = a.shape[i + 1], right = a.shape[i + 2];
            i += 2;
            require(left != -1 || right != -1, "both dimensions after -4 are -1");
            if (left == -1 && right > 0) left = size / right;
            if (right == -1 && left > 0) right = size / left;
            require(left > 0 && right > 0 && left * right == size, left, " x ", right, " does not split ", size);
            out.push_back(left);
            out.push_back(right);
        } else {
            fail("shape ", to_string(a.shape), ": unknown code ", code);
        }
    }
    int64_t known = 1;
    for (int64_t dim : out) {
        require(dim >= 1 && dim <= total, "shape ", to_string(a.shape), " does not fit ", to_string(source));
        known *= dim;
        require(known <= total, "shape ", to_string(a.shape), " does not fit the ", total, " elements of ", to_string(source));
    }
    if (unknown) {
        out[*unknown] = total / known;
        known *= out[*unknown];
    }
    require(known == total, "shape ", to_string(a.shape), " does not fit the ", total, " elements of ", to_string(source));
    return {out};
}

Shapes squeeze_shapes(const Attrs& a, const Shapes& in) {
    const Shape& x = in[0];
    std::vector<bool> dropped(x.size(), false);
    if (a.axes.empty()) {
        for (size_t i = 0; i < x.size(); ++i) dropped[i] = x[i] == 1;
    } else {
        for (int64_t axis : a.axes) {
            const size_t i = size_t(resolve_axis(axis, int64_t(x.size())));
            require(x[i] == 1, "axis ", axis, " of ", to_string(x), " is not of size 1");
            dropped[i] = true;
        }
    }
    Shape out;
    for (size_t i = 0; i < x.size(); ++i)
        if (!dropped[i]) out.push_back(x[i]);
    if (out.empty()) out.push_back(1);
    return {out};
}

Shapes expand_shapes(const Attrs& a, const Shapes& in) {
    Shape out = in[0];
    require(int64_t(out.size()) + a.num_newaxis <= kMaxDims, "more than ", kMaxDims, " dimensions");
    const int64_t axis = resolve_axis(*a.axis, int64_t(out.size()) + 1);
    out.insert(out.begin() + axis, size_t(a.num_newaxis), 1);
    return {out};
}

Shapes flatten_shapes(const Attrs&, const Shapes& in) { return {Shape{in[0][0], elements(in[0]) / in[0][0]}}; }

Range reshape_range(const Attrs&, const Arguments& in, const Shape& out) {
    const Shape& shape = in[0].shape;
    const bool same_channels = shape.size() >= 2 && out.size() >= 2 && shape[0] == out[0] && shape[1] == out[1];
    return same_channels ? in[0].own() : collapse(in[0].own());
}

void evaluate_copy(const Attrs&, const Inputs& in, const Outputs& out, Meter& meter) {
    copy(out[0].data, in[0].data, elements(out[0].shape), meter);
}

}  // namespace cvm::rules
