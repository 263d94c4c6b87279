// What a model may take: memory, operations, time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "base/base.h"

namespace cvm {

struct Limits {
    static constexpr int64_t kDefaultMemory = int64_t(2) << 30;

    int64_t memory = kDefaultMemory;  // bytes
    int64_t operations = INT64_MAX;   // of one run, as count_operations counts them
};

// The memory of one model against its limit.
class Memory {
public:
    explicit Memory(int64_t limit);  // at most what the machine can address
    void take(int64_t bytes, const char* what);  // throws LimitError where that would be too much
    void give(int64_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }

private:
    const int64_t limit_;
    std::atomic<int64_t> used_{0};
};

// What one owner has taken, before it allocates; given back when the owner goes. The memory must outlive it.
class Share {
public:
    explicit Share(Memory& memory) : memory_(&memory) {}
    Share(Share&& other) noexcept : memory_(other.memory_), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Share() { memory_->give(bytes_); }

    void take(int64_t bytes, const char* what) {
        memory_->take(bytes, what);
        bytes_ += bytes;
    }
    void join(Share&& other) noexcept { bytes_ += std::exchange(other.bytes_, 0); }
    // A share of the same memory, empty.
    Share another() const { return Share(*memory_); }

private:
    Memory* memory_;
    int64_t bytes_ = 0;
};

// Stops runs from another thread, for good.
class Cancel {
public:
    void set() noexcept { set_.store(true, std::memory_order_relaxed); }
    bool is_set() const noexcept { return set_.load(std::memory_order_relaxed); }

private:
    std::atomic<bool> set_{false};
};

// How long one run may go on.
class Watch {
public:
    // Any may be absent. seconds: from now on. interrupted: asked now and then, only on the thread that makes the watch; once it
    // says true, the run stops.
    Watch(std::optional<double> seconds, const Cancel* cancel, bool (*interrupted)() = nullptr);
    void check() const;  // throws Cancelled

private:
    using Clock = std::chrono::steady_clock;

    void ask() const;

    std::optional<double> seconds_;
    Clock::time_point deadline_ = Clock::time_point::max();
    const Cancel* cancel_;
    bool (*interrupted_)();
    const std::thread::id owner_ = std::this_thread::get_id();
    mutable int checks_ = 0;  // of the owner
    mutable Clock::time_point next_question_ = Clock::time_point::min();
    mutable Cancel stopped_;  // by interrupted_, for the other threads
};

// Looks at the watch now and then: long loops report what they did, about a nanosecond each.
class Meter {
public:
    explicit Meter(const Watch* watch) : watch_(watch) {}
    void spend(int64_t work) {
        left_ -= work;
        if (left_ < 0) look();
    }

private:
    static constexpr int64_t kWork = int64_t(1) << 20;

    void look();

    const Watch* watch_;  // nullptr: nothing stops it
    int64_t left_ = kWork;
};

}  // namespace cvm
