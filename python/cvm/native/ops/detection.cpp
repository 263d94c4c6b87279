// get_valid_counts and non_max_suppression: rows (id, score, x_min, y_min, x_max, y_max, ...) of detections.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "ops/reference.h"

namespace cvm {
namespace {

// Areas of int32 boxes need up to 66 bits.
__extension__ typedef __int128 Wide;

constexpr Wide kMaxOverlap = std::numeric_limits<int64_t>::max() / 100;

// floor(100 * intersection / union) of two corner boxes, 0 where the union is not positive. As in the target's
// 64-bit arithmetic, an intersection above (2^63 - 1) / 100 divides the union instead.
Wide overlap_percent(const int32_t* a, const int32_t* b) {
    const auto area = [](const int32_t* box) { return (Wide(box[2]) - box[0]) * (Wide(box[3]) - box[1]); };
    const Wide areas = area(a) + area(b);
    const Wide width = std::max<Wide>(0, Wide(std::min(a[2], b[2])) - std::max(a[0], b[0]));
    const Wide height = std::max<Wide>(0, Wide(std::min(a[3], b[3])) - std::max(a[1], b[1]));
    const Wide intersection = width * height, joined = areas - intersection;
    if (areas <= 0 || joined <= 0) return 0;
    if (intersection > kMaxOverlap) return joined < 100 ? 0 : intersection / (joined / 100);
    return 100 * intersection / joined;
}

}  // namespace

void evaluate_valid_counts(const Attrs& attrs, const In& in, const Out& counts, const Out& rows, Meter& meter) {
    const int64_t number = in.shape[1], values = in.shape[2];
    std::fill_n(rows.data, elements(rows.shape), -1);
    for (int64_t b = 0; b < in.shape[0]; ++b) {
        const int32_t* from = in.data + b * number * values;
        int32_t* to = rows.data + b * number * values;
        int32_t valid = 0;
        for (int64_t i = 0; i < number; ++i, from += values, meter.spend(values)) {
            if (from[1] <= attrs.score_threshold) continue;
            std::memcpy(to + valid * values, from, size_t(values) * sizeof(int32_t));
            ++valid;
        }
        counts.data[b] = valid;
    }
}

void evaluate_nms(const Attrs& attrs, const std::vector<In>& in, const Out& out, Meter& meter) {
    const int64_t number = out.shape[1];
    std::fill_n(out.data, elements(out.shape), -1);
    std::vector<int64_t> order;
    for (int64_t b = 0; b < out.shape[0]; ++b) {
        const int32_t* rows = in[0].data + b * number * 6;
        int32_t* kept = out.data + b * number * 6;
        const int64_t valid = std::clamp<int64_t>(in[1].data[b], 0, number);
        order.resize(size_t(valid));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
            meter.spend(4);
            return rows[i * 6 + 1] > rows[j * 6 + 1];
        });
        if (attrs.top_k >= 0) order.resize(size_t(std::min(valid, attrs.top_k)));
        const int64_t room = attrs.max_output_size < 0 ? valid : std::min(valid, attrs.max_output_size);
        int64_t count = 0;
        for (int64_t i : order) {
            if (count >= room) break;
            const int32_t* row = rows + i * 6;
            if (row[0] < 0) continue;
            bool suppressed = false;
            for (int64_t k = 0; !suppressed && k < count; ++k) {
                const int32_t* other = kept + k * 6;
                meter.spend(20);
                suppressed = (attrs.force_suppress || other[0] == row[0]) &&
                             overlap_percent(other + 2, row + 2) >= attrs.iou_threshold;
            }
            if (!suppressed) std::memcpy(kept + count++ * 6, row, 6 * sizeof(int32_t));
        }
    }
}

}  // namespace cvm
