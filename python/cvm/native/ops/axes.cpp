#include "ops/axes.h"

#include <algorithm>

#include "ops/attributes.h"

namespace cvm {

int64_t resolve_axis(int64_t axis, int64_t rank) {
    require(axis >= -rank && axis < rank, "axis ", axis, " is outside [", -rank, ", ", rank - 1, "]");
    return axis < 0 ? axis + rank : axis;
}

std::vector<bool> reduced_axes(const Attrs& attrs, int64_t rank) {
    std::vector<bool> reduced(size_t(rank), true);
    if (attrs.axes.empty()) return reduced;
    std::vector<bool> given(size_t(rank), false);
    for (int64_t axis : attrs.axes) {
        const size_t i = size_t(resolve_axis(axis, rank));
        require(!given[i], "axis ", axis, " is given twice");
        given[i] = true;
    }
    for (size_t i = 0; i < given.size(); ++i) reduced[i] = given[i] != attrs.exclude;
    return reduced;
}

std::vector<int64_t> permutation(const Attrs& attrs, int64_t rank) {
    std::vector<int64_t> order;
    if (attrs.axes.empty()) {
        for (int64_t i = rank; i-- > 0;) order.push_back(i);
        return order;
    }
    require(int64_t(attrs.axes.size()) == rank, "axes do not match ", rank, " dimensions");
    std::vector<bool> seen(size_t(rank), false);
    for (int64_t axis : attrs.axes) {
        order.push_back(resolve_axis(axis, rank));
        require(!seen[size_t(order.back())], "axis ", axis, " is given twice");
        seen[size_t(order.back())] = true;
    }
    return order;
}

std::vector<Slice> strided_slices(const Attrs& attrs, const Shape& shape) {
    const size_t rank = shape.size();
    require(attrs.begin.size() <= rank && attrs.end.size() <= rank && attrs.stride.size() <= rank,
            "begin, end or stride has more values than ", to_string(shape), " has dimensions");
    std::vector<Slice> slices;
    for (size_t i = 0; i < rank; ++i) {
        const int64_t dim = shape[i];
        int64_t begin = i < attrs.begin.size() ? attrs.begin[i] : 0;
        int64_t end = i < attrs.end.size() ? attrs.end[i] : dim;
        const int64_t step = i < attrs.stride.size() ? attrs.stride[i] : 1;
        require(step != 0, "stride of axis ", i, " is 0");
        const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
        begin = std::clamp(begin < 0 ? begin + dim : begin, low, high);
        end = std::clamp(end < 0 ? end + dim : end, low, high);
        require(step > 0 ? begin < end : begin > end, "the slice of axis ", i, " is empty");
        slices.push_back({begin, step, step > 0 ? ceil_div(end - begin, step) : ceil_div(begin - end, -step)});
    }
    return slices;
}

std::vector<Slice> like_slices(const Attrs& attrs, const Shape& shape, const Shape& like) {
    std::vector<Slice> slices;
    for (int64_t dim : shape) slices.push_back({0, 1, dim});
    const auto limit = [&](size_t axis) {
        require(axis < like.size() && like[axis] <= shape[axis], to_string(like), " exceeds ", to_string(shape), " along axis ", axis);
        slices[axis].count = like[axis];
    };
    if (attrs.axes.empty()) {
        for (size_t i = 0; i < std::min(shape.size(), like.size()); ++i) limit(i);
    } else {
        for (int64_t axis : attrs.axes) limit(size_t(resolve_axis(axis, int64_t(shape.size()))));
    }
    return slices;
}

}  // namespace cvm
