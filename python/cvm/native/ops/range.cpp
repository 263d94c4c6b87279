#include "ops/range.h"

namespace cvm {
namespace {

int64_t channels_of(const Shape& shape) { return shape.size() >= 2 ? shape[1] : 1; }

// A constant seen from an output of the given shape: per channel of the output's axis 1 where the constant varies.
Range constant_range(const Tensor& tensor, const Shape& out) {
    const int64_t count = tensor.size();
    const int64_t channels = channels_of(out);
    const size_t lead = out.size() - std::min(out.size(), tensor.shape.size());
    int64_t inner = 1;
    bool varies = out.size() >= 2 && lead <= 1 && tensor.shape.size() <= out.size() && tensor.shape[1 - lead] == channels;
    if (varies)
        for (size_t i = 2 - lead; i < tensor.shape.size(); ++i) inner *= tensor.shape[i];
    Range r = whole(tensor.at(0), tensor.at(0));
    if (varies) {
        r.lo.assign(size_t(channels), INT64_MAX);
        r.hi.assign(size_t(channels), INT64_MIN);
    }
    for (int64_t i = 0; i < count; ++i) {
        const size_t c = varies ? size_t(i / inner % channels) : 0;
        const int64_t v = tensor.at(i);
        r.lo[c] = std::min(r.lo[c], v);
        r.hi[c] = std::max(r.hi[c], v);
    }
    return r;
}

}  // namespace

int64_t Range::min() const { return *std::min_element(lo.begin(), lo.end()); }
int64_t Range::max() const { return *std::max_element(hi.begin(), hi.end()); }

Range Known::seen_from(const Shape& out) const {
    if (constant) return constant_range(*constant, out);
    const bool aligned = shape.size() == out.size() && range->lo.size() == size_t(channels_of(out));
    return aligned ? *range : collapse(*range);
}

}  // namespace cvm
