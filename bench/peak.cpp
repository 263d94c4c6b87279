// The most int8 multiply-adds that this processor does per second: independent accumulators in registers, no memory.
// Prints "INSTRUCTION RATE" with the rate of THREADS threads together, in multiply-adds per second.
// Usage: peak THREADS

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>

namespace {

constexpr int kChains = 12;  // more than latency times issue rate, fewer than registers
constexpr long kSteps = 2000000;

// One pass of kSteps steps. The empty asm keeps every accumulator live without storing it.
#define PEAK_LOOP(vector, zero, step)                         \
    vector sum[kChains];                                      \
    for (auto& s : sum) s = zero();                           \
    vector a = zero(), b = zero();                            \
    for (long i = 0; i < kSteps; ++i) {                       \
        asm volatile("" : "+x"(a), "+x"(b));                  \
        _Pragma("GCC unroll 12") for (auto& s : sum) s = step; \
    }                                                         \
    for (auto& s : sum) asm volatile("" : : "x"(s));

#define PEAK_WIDE __attribute__((target("avx512f,avx512vnni")))
#define PEAK_VNNI __attribute__((target("avx2,avxvnni")))
#define PEAK_AVX2 __attribute__((target("avx2")))

PEAK_WIDE void avx512_vnni() { PEAK_LOOP(__m512i, _mm512_setzero_si512, _mm512_dpbusd_epi32(s, a, b)) }

PEAK_VNNI void avx_vnni() { PEAK_LOOP(__m256i, _mm256_setzero_si256, _mm256_dpbusd_avx_epi32(s, a, b)) }

PEAK_AVX2 void avx2() {
    const __m256i ones = _mm256_set1_epi16(1);
    PEAK_LOOP(__m256i, _mm256_setzero_si256,
              _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones)))
}

struct Kernel {
    const char* name;
    void (*run)();
    double lanes;
};

Kernel choose() {
    if (__builtin_cpu_supports("avx512vnni")) return {"AVX-512 VNNI", avx512_vnni, 64};
    if (__builtin_cpu_supports("avxvnni")) return {"AVX-VNNI", avx_vnni, 32};
    if (__builtin_cpu_supports("avx2")) return {"AVX2", avx2, 32};
    return {nullptr, nullptr, 0};
}

double rate(const Kernel& kernel, int threads) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back(kernel.run);
    for (auto& worker : workers) worker.join();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return threads * kernel.lanes * kChains * kSteps / elapsed.count();
}

}  // namespace

int main(int argc, char** argv) {
    const Kernel kernel = choose();
    if (argc != 2 || kernel.run == nullptr) return 2;
    double best = 0;
    for (int trial = 0; trial < 50; ++trial) {
        const double found = rate(kernel, std::atoi(argv[1]));
        if (found > best) best = found;
    }
    std::printf("%s %.6g\n", kernel.name, best);
    return 0;
}
#else
int main() { return 2; }  // no such instruction is known to this program here
#endif
