// exec/threads.h for a WebAssembly module, whose steps all run on its one thread.
#include "exec/threads.h"

#include <chrono>

namespace cvm {
namespace {

void run_step(const Step& step, const Call& call) {
    for (int i = 0, total = step.total_tasks(); i < total; ++i) {
        if (call.watch) call.watch->check();
        step.run_any(call, i);
    }
}

}  // namespace

int available_processors() { return 1; }

void run_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int) {
    for (const auto& step : steps) run_step(*step, call);
}

std::vector<double> time_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> seconds;
    for (const auto& step : steps) {
        const auto start = Clock::now();
        run_step(*step, call);
        seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    return seconds;
}

}  // namespace cvm
