// get_valid_counts and non_max_suppression: rows (id, score, x_min, y_min, x_max, y_max, ...) of detections.
#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/rules.h"

namespace cvm::rules {
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

void counts_attributes(AttributeReader& read, Attrs& a) { a.score_threshold = read.integer("score_threshold", 0); }

void suppression_attributes(AttributeReader& read, Attrs& a) {
    a.iou_threshold = read.integer("iou_threshold", 50);
    a.force_suppress = read.boolean("force_suppress", false);
    a.top_k = read.integer("top_k", -1);
    a.max_output_size = read.integer("max_output_size", -1);
    require(a.iou_threshold > 0, "attribute iou_threshold must be positive");
    require(read.integer("id_index", 0) == 0, "attribute id_index must be 0");
    require(read.integer("score_index", 1) == 1, "attribute score_index must be 1");
    require(read.integer("coord_start", 2) == 2, "attribute coord_start must be 2");
    require(!read.boolean("return_indices", false), "attribute return_indices must be False");
    require(read.boolean("invalid_to_bottom", true), "attribute invalid_to_bottom must be True");
}

Shapes counts_shapes(const Attrs&, const Shapes& in) {
    require(in[0].size() == 3, "data must be 3-D (batch, rows, values), got ", to_string(in[0]));
    require(in[0][2] >= 2 && in[0][2] < 32, "rows must have 2 to 31 values, got ", in[0][2]);
    return {Shape{in[0][0]}, in[0]};
}

Shapes suppression_shapes(const Attrs&, const Shapes& in) {
    require(in[0].size() == 3 && in[0][2] == 6, "data must be (batch, rows, 6), got ", to_string(in[0]));
    require(in[1] == Shape{in[0][0]}, "valid counts must be (", in[0][0], ",), got ", to_string(in[1]));
    return {in[0]};
}

Precisions counts_precisions(const Attrs&, const Precisions& p, const Shapes& in, const Shapes&) {
    require(p[0] >= 2, "data needs a precision of at least 2 to hold the fill value -1");
    return {bit_length(uint64_t(in[0][1] * in[0][2] + 1)) + 1, p[0]};
}

Precisions suppression_precision(const Attrs&, const Precisions& p, const Shapes&, const Shapes&) {
    require(p[0] >= 2, "data needs a precision of at least 2 to hold the fill value -1");
    return {p[0]};
}

Range suppression_range(const Attrs&, const Arguments& in, const Shape&) {
    const Range x = in[0].own();
    return whole(std::min<int64_t>(x.min(), -1), std::max<int64_t>(x.max(), -1));
}

void evaluate_counts(const Attrs& a, const Inputs& ins, const Outputs& outs, Meter& meter) {
    const In& in = ins[0];
    const Out &counts = outs[0], &rows = outs[1];
    const int64_t number = in.shape[1], values = in.shape[2];
    fill(rows.data, elements(rows.shape), -1, meter);
    for (int64_t b = 0; b < in.shape[0]; ++b) {
        const int32_t* from = in.data + b * number * values;
        int32_t* to = rows.data + b * number * values;
        int32_t valid = 0;
        for (int64_t i = 0; i < number; ++i, from += values, meter.spend(values)) {
            if (from[1] <= a.score_threshold) continue;
            std::memcpy(to + valid * values, from, size_t(values) * sizeof(int32_t));
            ++valid;
        }
        counts.data[b] = valid;
    }
}

void evaluate_suppression(const Attrs& a, const Inputs& in, const Outputs& outs, Meter& meter) {
    const Out& out = outs[0];
    const int64_t number = out.shape[1];
    fill(out.data, elements(out.shape), -1, meter);
    std::vector<int64_t> order;
    for (int64_t b = 0; b < out.shape[0]; ++b) {
        const int32_t* rows = in[0].data + b * number * 6;
        int32_t* kept = out.data + b * number * 6;
        const int64_t valid = std::clamp<int64_t>(in[1].data[b], 0, number);
        order.resize(size_t(valid));
        for (int64_t i = 0; i < valid; ++i, meter.spend(1)) order[size_t(i)] = i;
        std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
            meter.spend(4);
            return rows[i * 6 + 1] > rows[j * 6 + 1];
        });
        if (a.top_k >= 0) order.resize(size_t(std::min(valid, a.top_k)));
        const int64_t room = a.max_output_size < 0 ? valid : std::min(valid, a.max_output_size);
        int64_t count = 0;
        for (int64_t i : order) {
            if (count >= room) break;
            meter.spend(4);
            const int32_t* row = rows + i * 6;
            if (row[0] < 0) continue;
            bool suppressed = false;
            for (int64_t k = 0; !suppressed && k < count; ++k) {
                const int32_t* other = kept + k * 6;
                meter.spend(20);
                suppressed = (a.force_suppress || other[0] == row[0]) &&
                             overlap_percent(other + 2, row + 2) >= a.iou_threshold;
            }
            if (!suppressed) std::memcpy(kept + count++ * 6, row, 6 * sizeof(int32_t));
        }
    }
}

int64_t suppression_charge(const Attrs&, const Shapes& in, const Shape&) { return 20 * in[0][0]; }

// The order of one picture's rows, twice while they are sorted.
int64_t suppression_scratch(const Shapes& in) { return in[0][1] * 2 * int64_t(sizeof(int64_t)); }

}  // namespace cvm::rules
