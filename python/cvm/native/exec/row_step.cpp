#include "exec/row_step.h"

#include <algorithm>

namespace cvm {

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
