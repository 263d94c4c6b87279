// One block of memory for every buffer of a plan, laid out by when each is alive.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exec/steps.h"

namespace cvm {

struct Arena {
    std::vector<int64_t> offsets;  // of every buffer
    int64_t bytes = 0;
};

// Buffers that are alive at the same step never overlap. `sizes`: bytes of every buffer.
Arena lay_out(const std::vector<std::unique_ptr<Step>>& steps, const std::vector<int64_t>& sizes);

}  // namespace cvm
