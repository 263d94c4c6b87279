#include "exec/row_step.h"

#include <algorithm>

#include "exec/access.h"

namespace cvm {

void BlendStep::run(const Call& call, int task) const {
    const View& out = how.out;
    const auto row_of = [&](const View& view, int64_t n, int64_t y) {
        return call.at(view.place) + n * view.sn + (view.picked ? view.picked->rows[size_t(y)] : y * view.sy);
    };
    const auto columns = [](const View& view) { return view.picked ? view.picked->columns.data() : nullptr; };
    BlendRow row{};
    row.low_at = columns(how.low);
    row.high_at = columns(how.high);
    row.low_step = how.low.sx;
    row.high_step = how.high.sx;
    row.weight_step = how.by_row ? 0 : 1;
    row.out_step = out.sx;
    row.width = out.w;
    row.channels = round_up(out.c, int64_t(kernels->tile.lanes));
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, out.n * out.h);
    Meter meter(call.watch);
    for (int64_t at = first; at < last; ++at, meter.spend(row.width * row.channels / 8)) {
        const int64_t n = at / out.h, y = at % out.h;
        row.low = row_of(how.low, n, y);
        row.high = row_of(how.high, n, y);
        row.weights = how.weights.data() + (how.by_row ? y : 0);
        row.out = row_of(out, n, y);
        kernels->blend(how.blend, row);
    }
}

void BlendStep::touch(std::vector<int>& buffers) const {
    touch_place(how.low.place, buffers);
    touch_place(how.high.place, buffers);
    touch_place(how.out.place, buffers);
}

void RowStep::run(const Call& call, int task) const {
    Call own = call;
    own.task = task;
    const int64_t first = task * rows_per_task, last = std::min(first + rows_per_task, rows);
    for (int64_t row = first; row < last; ++row)
        for (const auto& part : parts) part->run(own, int(row));
}

void RowStep::touch(std::vector<int>& buffers) const {
    for (const auto& part : parts) part->touch(buffers);
}

}  // namespace cvm
