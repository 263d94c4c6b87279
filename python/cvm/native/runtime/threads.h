// One pool of worker threads per process.
//
// A run of a model is a list of steps with numbered tasks. The calling thread and any idle workers walk the list
// together: each takes the next task of the current step, and moves on when all its tasks are done. Nobody has a
// fixed share, so a worker may come late or not at all, and results do not depend on who computed what.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "runtime/steps.h"

namespace cvm {

// Number of processors that this process may use.
int available_processors();

// Runs the steps with at most `threads` threads, this one included.
void run_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int threads);

// Runs the steps on this thread alone and returns the seconds that each took.
std::vector<double> time_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call);

}  // namespace cvm
