// sum and max over axes.
#include <algorithm>
#include <limits>

#include "graph/axes.h"
#include "ops/reference.h"

namespace cvm {

void evaluate_reduce(Op op, const Attrs& attrs, const In& in, const Out& out, Meter& meter) {
    const size_t rank = in.shape.size();
    const std::vector<bool> reduced = reduced_axes(attrs, int64_t(rank));
    Shape strides(rank, 0);
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
        if (reduced[i]) continue;
        strides[i] = stride;
        stride *= in.shape[i];
    }
    std::fill_n(out.data, elements(out.shape), op == Op::Sum ? 0 : std::numeric_limits<int32_t>::min());
    Shape index(rank, 0);
    int64_t at = 0;
    for (int64_t i = 0, count = elements(in.shape); i < count; ++i, meter.spend(4)) {
        out.data[at] = op == Op::Sum ? wrap(int64_t(out.data[at]) + in.data[i]) : std::max(out.data[at], in.data[i]);
        for (size_t axis = rank; axis-- > 0;) {
            at += strides[axis];
            if (++index[axis] < in.shape[axis]) break;
            at -= strides[axis] * in.shape[axis];
            index[axis] = 0;
        }
    }
}

}  // namespace cvm
