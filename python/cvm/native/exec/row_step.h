// Steps that run one after another for every row of a picture.
#pragma once

#include "exec/steps.h"

namespace cvm {

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
