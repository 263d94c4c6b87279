// take, cvm_lut, where: values chosen by other values.
#include <algorithm>

#include "graph/axes.h"
#include "ops/reference.h"

namespace cvm {
namespace {

void take(const Attrs& attrs, const In& data, const In& indices, const Out& out, Meter& meter) {
    const int64_t rank = int64_t(data.shape.size());
    const int64_t axis = attrs.axis ? resolve_axis(*attrs.axis, rank) : -1;
    int64_t outer = 1, inner = 1;
    if (attrs.axis)
        for (int64_t i = 0; i < rank; ++i) {
            if (i < axis) outer *= data.shape[size_t(i)];
            if (i > axis) inner *= data.shape[size_t(i)];
        }
    const int64_t size = attrs.axis ? data.shape[size_t(axis)] : elements(data.shape);
    const int64_t count = elements(indices.shape);
    int32_t* to = out.data;
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < count; ++i, to += inner) {
            const int64_t index = std::clamp<int64_t>(indices.data[i], 0, size - 1);
            meter.spend(4);
            copy(to, data.data + (o * size + index) * inner, inner, meter);
        }
}

void where(const In& condition, const In& a, const In& b, const Out& out, Meter& meter) {
    const int64_t count = elements(out.shape);
    const int64_t per_condition = count / elements(condition.shape);
    for (int64_t i = 0; i < count; ++i, meter.spend(2)) out.data[i] = condition.data[i / per_condition] != 0 ? a.data[i] : b.data[i];
}

}  // namespace

void evaluate_lookup(Op op, const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter) {
    switch (op) {
        case Op::Take: return take(attrs, in[0], in[1], out, meter);
        case Op::CvmLut: {
            const int64_t last = elements(in[1].shape) - 1;
            for (int64_t i = 0, count = elements(in[0].shape); i < count; ++i, meter.spend(2))
                out.data[i] = in[1].data[std::clamp<int64_t>(in[0].data[i], 0, last)];
            return;
        }
        default: return where(in[0], in[1], in[2], out, meter);
    }
}

}  // namespace cvm
