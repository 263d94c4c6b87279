// How the work of a step is cut into tasks.
#pragma once

#include <algorithm>

#include "base/base.h"

namespace cvm {

class Tasks {
public:
    explicit Tasks(int threads) : threads_(threads) {}

    // How many tasks work of so many multiply-adds is worth: one, or a few for each thread.
    int64_t count(double macs) const {
        const double tasks = macs / (kMacsPerMicrosecond * kMicroseconds);
        return tasks < 2 ? 1 : std::min<int64_t>(round_up(int64_t(std::min(tasks, 1e6)), threads_), most());
    }
    int64_t most() const { return 4 * threads_; }

    // Rows per task, for `rows` rows of `macs` multiply-adds each.
    int64_t rows(int64_t rows, double macs) const { return ceil_div(rows, count(double(rows) * macs)); }

    // The same for a step.
    template <typename Step>
    void share_rows(Step& step, int64_t rows, double macs) const {
        step.rows_per_task = this->rows(rows, macs);
        step.tasks = int(ceil_div(rows, step.rows_per_task));
    }
    // For one that moves values.
    template <typename Step>
    void share_moves(Step& step, int64_t rows, int64_t values) const { share_rows(step, rows, double(values) * kMacsPerMove); }

private:
    static constexpr double kMacsPerMicrosecond = 2e5;
    static constexpr double kMicroseconds = 3;  // smaller tasks are not worth handing out
    static constexpr double kMacsPerMove = 60;

    const int threads_;
};

}  // namespace cvm
