// One pool of worker threads per process.
//
// A run of a model is a list of steps with numbered tasks. The calling thread and any idle workers walk the list
// together, and move on when all tasks of a step are done. Each has a range of tasks of its own, the same part of every
// step, so that it mostly reads what it wrote and what is still in its cache; then it takes what is left of the others'
// ranges. So a worker may come late or not at all, and results do not depend on who computed what.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "exec/steps.h"

namespace cvm {

// Number of processors that this process may use.
int available_processors();

// Runs the steps with at most `threads` threads, this one included. What a task throws, on whichever thread, is thrown here
// when all threads have left the steps; the results are then worth nothing, and the steps may be run again.
void run_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int threads);

// Runs the steps on this thread alone and returns the seconds that each took.
std::vector<double> time_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call);

}  // namespace cvm
