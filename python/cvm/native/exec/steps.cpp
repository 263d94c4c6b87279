#include "exec/steps.h"

#include <cstring>

#include "exec/access.h"

namespace cvm {

void Border::fill(const Call& call, int64_t n) const {
    const int64_t row_pixels = left + view.w + right;
    for (int64_t y = -top; y < view.h + bottom; ++y) {
        uint8_t* row = pixel(call, view, n, y, -left);
        if (y < 0 || y >= view.h) {
            std::memset(row, value, size_t(row_pixels * view.sx));
        } else {
            std::memset(row, value, size_t(left * view.sx));
            std::memset(row + (left + view.w) * view.sx, value, size_t(right * view.sx));
        }
    }
}

int Step::total_tasks() const {
    int64_t total = tasks;
    for (const Border& border : borders) total += border.view.n;
    return int(total);
}

void Step::run_any(const Call& call, int task) const {
    if (task < tasks) return run(call, task);
    int64_t n = task - tasks;
    for (const Border& border : borders) {
        if (n < border.view.n) return border.fill(call, n);
        n -= border.view.n;
    }
}

void Epilogue::touch(std::vector<int>& buffers) const {
    for (const View& view : operands) touch_place(view.place, buffers);
}

void Ending::touch(std::vector<int>& buffers) const {
    if (has_residual) touch_place(residual.place, buffers);
    if (has_wide) touch_place(wide.place, buffers);
    if (has_narrow) touch_place(narrow.place, buffers);
    epilogue.touch(buffers);
}

}  // namespace cvm
