#include "runtime/threads.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

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

struct alignas(64) Progress {
    std::atomic<int> next{0};
    std::atomic<int> done{0};
};

// A run in progress. Workers hold it by shared pointer, the steps and the call belong to the caller, who leaves
// only when every task is done; after that a late worker finds no task to take.
struct Run {
    const std::vector<std::unique_ptr<Step>>* steps;
    Call call;
    std::vector<int> totals;
    std::unique_ptr<Progress[]> progress;
    std::atomic<int> seats;   // workers that may still join

    void work() {
        for (size_t s = 0; s < totals.size(); ++s) {
            const int total = totals[s];
            Progress& p = progress[s];
            for (int task = p.next.load(std::memory_order_relaxed); task < total;) {
                if (!p.next.compare_exchange_weak(task, task + 1, std::memory_order_relaxed)) continue;
                (*steps)[s]->run_any(call, task);
                p.done.fetch_add(1, std::memory_order_release);
                task = p.next.load(std::memory_order_relaxed);
            }
            for (int spins = 0; p.done.load(std::memory_order_acquire) < total; ++spins) {
                if (spins < 4000) relax();
                else std::this_thread::yield();
            }
        }
    }
};

class Pool {
public:
    static Pool& instance() {
        // Never destroyed: workers may outlive static destruction.
        static Pool* pool = new Pool(available_processors() - 1);
        return *pool;
    }

    void run(const std::shared_ptr<Run>& run) {
        {
            const std::lock_guard lock(mutex_);
            if (!started_) start();
            runs_.push_back(run);
            version_.fetch_add(1, std::memory_order_release);
        }
        if (sleeping_.load(std::memory_order_acquire) > 0) wake_.notify_all();
        callers_.fetch_add(1, std::memory_order_relaxed);
        run->work();
        callers_.fetch_sub(1, std::memory_order_relaxed);
        const std::lock_guard lock(mutex_);
        runs_.erase(std::find(runs_.begin(), runs_.end(), run));
    }

private:
    explicit Pool(int workers) : workers_(workers) { pthread_atfork(nullptr, nullptr, &Pool::after_fork); }

    // Threads do not survive a fork: the child starts its own when it first needs them.
    static void after_fork() {
        Pool& pool = instance();
        new (&pool.mutex_) std::mutex;
        new (&pool.wake_) std::condition_variable;
        pool.runs_.clear();
        pool.started_ = false;
        pool.sleeping_ = 0;
        pool.callers_ = 0;
        pool.busy_ = 0;
    }

    void start() {
        started_ = true;
        for (int i = 0; i < workers_; ++i) std::thread(&Pool::serve, this).detach();
    }

    // A run with a free seat, unless the callers and busy workers already fill the processors.
    std::shared_ptr<Run> find_run() {
        const std::lock_guard lock(mutex_);
        if (callers_.load(std::memory_order_relaxed) + busy_ > workers_) return nullptr;
        for (const auto& run : runs_) {
            if (run->seats.load(std::memory_order_relaxed) <= 0) continue;
            run->seats.fetch_sub(1, std::memory_order_relaxed);
            ++busy_;
            return run;
        }
        return nullptr;
    }

    void serve() {
        using Clock = std::chrono::steady_clock;
        constexpr auto kPatience = std::chrono::microseconds(200);  // spinning this long saves waking up
        for (;;) {
            const int seen = version_.load(std::memory_order_acquire);
            if (const std::shared_ptr<Run> run = find_run()) {
                run->work();
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
    bool started_ = false;
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
        for (const auto& step : steps)
            for (int task = 0, total = step->total_tasks(); task < total; ++task) step->run_any(call, task);
        return;
    }
    auto run = std::make_shared<Run>();
    run->steps = &steps;
    run->call = call;
    for (const auto& step : steps) run->totals.push_back(step->total_tasks());
    run->progress = std::make_unique<Progress[]>(steps.size());
    run->seats = threads - 1;
    Pool::instance().run(run);
}

std::vector<double> time_steps(const std::vector<std::unique_ptr<Step>>& steps, const Call& call) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> seconds;
    for (const auto& step : steps) {
        const auto start = Clock::now();
        for (int task = 0, total = step->total_tasks(); task < total; ++task) step->run_any(call, task);
        seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    return seconds;
}

}  // namespace cvm
