// Steps that go through a picture row by row.
#pragma once

#include "exec/steps.h"

namespace cvm {

struct Blending {
    Blend blend{};
    View low, high, out;
    std::vector<int32_t> weights;
    bool by_row = false;         // a weight for every row, else for every column
    std::vector<std::shared_ptr<const Aligned<int32_t>>> constants;  // what `blend` points into
};

// Between two pixels each, by a weight per row or per column: a direction of a bilinear resizing.
class BlendStep : public Step {
public:
    const Kernels* kernels = nullptr;
    Blending how;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// The last steps before an output, row by row: what passes between them stays in the cache. A task of a part is one row of a
// picture; tensors between parts have room for one row of each task (Place::per_task).
class RowStep : public Step {
public:
    std::vector<std::unique_ptr<Step>> parts;
    int64_t rows = 0;            // of all pictures
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

}  // namespace cvm
