#include "base/limits.h"

#include <algorithm>

namespace cvm {
namespace {

constexpr double kLongest = 1e9;  // seconds; the clock's own range is larger

constexpr int kChecksPerLook = 16;
constexpr std::chrono::milliseconds kBetweenQuestions(50);

}  // namespace

Memory::Memory(int64_t limit) : limit_(std::min<uint64_t>(uint64_t(limit), SIZE_MAX / 2)) {}

void Memory::take(int64_t bytes, const char* what) {
    const int64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
    if (before + bytes <= limit_) return;
    give(bytes);
    fail<LimitError>(what, " of ", bytes, " bytes, beside ", before, " in use, would exceed max_memory=", limit_);
}

Watch::Watch(std::optional<double> seconds, const Cancel* cancel, bool (*interrupted)())
    : seconds_(seconds), cancel_(cancel), interrupted_(interrupted) {
    if (!seconds) return;
    const std::chrono::duration<double> wait(std::clamp(*seconds, 0.0, kLongest));
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
}

void Watch::check() const {
    if (cancel_ && cancel_->is_set()) fail<Cancelled>("the run was cancelled");
    if (interrupted_) ask();
    if (seconds_ && Clock::now() >= deadline_) fail<Cancelled>("the run took longer than its timeout of ", *seconds_, " seconds");
}

// Asking may take a lock that others hold, and looking at the clock takes longer than a check.
void Watch::ask() const {
    if (stopped_.is_set()) fail<Cancelled>("the run was interrupted");
    if (std::this_thread::get_id() != owner_ || ++checks_ % kChecksPerLook) return;
    const Clock::time_point now = Clock::now();
    if (now < next_question_) return;
    next_question_ = now + kBetweenQuestions;
    if (!interrupted_()) return;
    stopped_.set();
    fail<Cancelled>("the run was interrupted");
}

void Meter::look() {
    left_ = kWork;
    if (watch_) watch_->check();
}

}  // namespace cvm
