#include "exec/threads.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

namespace cvm {
namespace {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// The task to do as number i of `count`. Every other step goes backwards, and so begins with what the step before it wrote
// last: that is still in the cache.
inline int in_turn(const std::vector<std::unique_ptr<Step>>& steps, size_t s, int i, int count) {
    return s % 2 && steps[s]->any_order ? count - 1 - i : i;
}

void run_alone(const std::vector<std::unique_ptr<Step>>& steps, size_t s, const Call& call) {
    for (int i = 0, total = steps[s]->total_tasks(); i < total; ++i) {
        if (call.watch) call.watch->check();
        steps[s]->run_any(call, in_turn(steps, s, i, total));
    }
}

struct alignas(64) Counter {
    std::atomic<int> value{0};
};

// A run in progress. Workers hold it by shared pointer, the steps and the call belong to the caller, who leaves
// only when every task is done; after that a late worker finds no task to take. Once a task has thrown, those that are
// left count as done without being run.
class Run {
public:
    Run(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int threads)
        : steps_(steps), call_(call), threads_(threads),
          counters_(std::make_unique<Counter[]>(steps.size() * size_t(threads + 1))) {
        for (const auto& step : steps) totals_.push_back(step->total_tasks());
    }

    // Threads are numbered from 0, the caller's.
    void work(int thread) noexcept {
        for (size_t s = 0; s < totals_.size(); ++s) {
            std::atomic<int>& done = counter(s, threads_);
            for (int i = 0; i < threads_; ++i)
                if (const int count = work_on(s, (thread + i) % threads_)) done.fetch_add(count, std::memory_order_release);
            for (int spins = 0; done.load(std::memory_order_acquire) < totals_[s]; ++spins) {
                if (spins < 4000) {
                    relax();
                } else {
                    // The last task may be long and a worker's, and signals are seen by the caller alone.
                    if (thread == 0) unless_failed([] {});
                    std::this_thread::yield();
                }
            }
        }
    }

    // After work(0): throws what the first task that failed threw.
    void finish() {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

    std::atomic<int> joined{1};  // threads that take part
    bool full() const { return joined.load(std::memory_order_relaxed) >= threads_; }

private:
    // Runs what is left of a range of tasks. Returns how many these were.
    int work_on(size_t s, int range) noexcept {
        const int first = int(int64_t(totals_[s]) * range / threads_), last = int(int64_t(totals_[s]) * (range + 1) / threads_);
        std::atomic<int>& next = counter(s, range);
        int count = 0;
        while (next.load(std::memory_order_relaxed) < last - first) {
            const int taken = next.fetch_add(1, std::memory_order_relaxed);
            if (taken >= last - first) break;
            unless_failed([&] { steps_[s]->run_any(call_, in_turn(steps_, s, taken, last - first) + first); });
            ++count;
        }
        return count;
    }

    // Looks at the watch, then does `task`.
    template <typename F>
    void unless_failed(F task) noexcept {
        if (failed_.load(std::memory_order_relaxed)) return;
        try {
            if (call_.watch) call_.watch->check();
            task();
        } catch (...) {
            // The caller sees the error: it waits for the count of done tasks, which is published after this.
            if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
        }
    }

    std::atomic<int>& counter(size_t step, int which) { return counters_[step * size_t(threads_ + 1) + size_t(which)].value; }

    const std::vector<std::unique_ptr<Step>>& steps_;
    const Call call_;
    const int threads_;
    std::vector<int> totals_;
    std::unique_ptr<Counter[]> counters_;  // of each step: tasks taken of each range, then tasks done
    std::atomic<bool> failed_{false};
    std::exception_ptr error_;             // written by the task that set failed_
};

class Pool {
public:
    static Pool& instance() {
        // Never destroyed: workers may outlive static destruction.
        static Pool* pool = new Pool(available_processors() - 1);
        return *pool;
    }

    void run(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int threads) {
        const auto run = std::make_shared<Run>(steps, call, std::min(threads, workers_ + 1));
        {
            const Listed listed(*this, run);
            run->work(0);
        }
        run->finish();
    }

private:
    // Offers a run to the workers for as long as it lives.
    class Listed {
    public:
        Listed(Pool& pool, const std::shared_ptr<Run>& run) : pool_(pool), run_(run) {
            {
                const std::lock_guard lock(pool_.mutex_);
                pool_.start();
                pool_.runs_.push_back(run_);
                pool_.version_.fetch_add(1, std::memory_order_release);
            }
            if (pool_.sleeping_.load(std::memory_order_acquire) > 0) pool_.wake_.notify_all();
            pool_.callers_.fetch_add(1, std::memory_order_relaxed);
        }
        ~Listed() {
            pool_.callers_.fetch_sub(1, std::memory_order_relaxed);
            const std::lock_guard lock(pool_.mutex_);
            pool_.runs_.erase(std::find(pool_.runs_.begin(), pool_.runs_.end(), run_));
        }
        Listed(const Listed&) = delete;
        Listed& operator=(const Listed&) = delete;

    private:
        Pool& pool_;
        const std::shared_ptr<Run>& run_;
    };

    explicit Pool(int workers) : workers_(workers) {
        if (pthread_atfork(nullptr, nullptr, &Pool::after_fork)) throw std::bad_alloc();
    }

    // Threads do not survive a fork: the child starts its own when it first needs them.
    static void after_fork() {
        Pool& pool = instance();
        new (&pool.mutex_) std::mutex;
        new (&pool.wake_) std::condition_variable;
        pool.runs_.clear();
        pool.started_ = 0;
        pool.sleeping_ = 0;
        pool.callers_ = 0;
        pool.busy_ = 0;
    }

    // Starts the workers that are missing. Those that the system refuses are done without until the next run.
    void start() noexcept {
        try {
            for (; started_ < workers_; ++started_) std::thread(&Pool::serve, this).detach();
        } catch (const std::exception&) {
        }
    }

    // A run that wants another thread and that thread's number, unless the callers and busy workers already fill the
    // processors.
    std::pair<std::shared_ptr<Run>, int> find_run() {
        const std::lock_guard lock(mutex_);
        if (callers_.load(std::memory_order_relaxed) + busy_ > workers_) return {};
        for (const auto& run : runs_) {
            if (run->full()) continue;
            ++busy_;
            return {run, run->joined.fetch_add(1, std::memory_order_relaxed)};
        }
        return {};
    }

    void serve() noexcept {
        using Clock = std::chrono::steady_clock;
        constexpr auto kPatience = std::chrono::microseconds(200);  // spinning this long saves waking up
        for (;;) {
            const int seen = version_.load(std::memory_order_acquire);
            if (const auto [run, thread] = find_run(); run) {
                run->work(thread);
                const std::lock_guard lock(mutex_);
                --busy_;
                continue;
            }
            const auto until = Clock::now() + kPatience;
            bool changed = false;
            while (!changed && Clock::now() < until) {
                for (int i = 0; i < 64 && !changed; ++i) {
                    relax();
                    changed = version_.load(std::memory_order_acquire) != seen;
                }
            }
            if (changed) continue;
            std::unique_lock lock(mutex_);
            sleeping_.fetch_add(1, std::memory_order_release);
            wake_.wait(lock, [&] { return version_.load(std::memory_order_acquire) != seen; });
            sleeping_.fetch_sub(1, std::memory_order_release);
        }
    }

    const int workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::shared_ptr<Run>> runs_;
    int started_ = 0;
    int busy_ = 0;
    std::atomic<int> version_{0}, sleeping_{0}, callers_{0};
};

}  // namespace

int available_processors() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, int(std::thread::hardware_concurrency()));
}

void run_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call, int threads) {
    if (threads <= 1) {
        for (size_t s = 0; s < steps.size(); ++s) run_alone(steps, s, call);
        return;
    }
    Pool::instance().run(steps, call, threads);
}

std::vector<double> time_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> seconds;
    for (size_t s = 0; s < steps.size(); ++s) {
        const auto start = Clock::now();
        run_alone(steps, s, call);
        seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    return seconds;
}

}  // namespace cvm
