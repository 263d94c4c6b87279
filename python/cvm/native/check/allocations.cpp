// Fails every allocation once in turn, as SQLite does: loads a model and runs it while allocation number i fails, for
// i = 0, 1, ... until nothing is left to fail. Whatever fails must end in an exception that reaches the caller, and what
// was loaded must give the right integers when it is run again. Leaks and misuse of memory are the sanitizer's to find.
//
//     allocations MODEL_DIR BATCH THREADS once|on [STRIDE]
//
// `once`: only that allocation fails; `on`: it and all after it. Prints how many were failed.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "model/model.h"

namespace {

std::atomic<int64_t> countdown{-1};  // allocations until one fails; negative: none does
std::atomic<bool> goes_on{false}, armed{false};
std::atomic<int64_t> failed{0};

// nullptr where the allocation fails.
void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (armed.load()) {
        const int64_t left = countdown.fetch_sub(1);
        if (left == 0 || (left < 0 && goes_on.load())) {
            failed.fetch_add(1);
            return nullptr;
        }
    }
    return alignment ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment) : std::malloc(size);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    void* memory = allocate(size, alignment);
    if (!memory) throw std::bad_alloc();
    return memory;
}

void arm(int64_t number, bool on) {
    failed = 0;
    countdown = number;
    goes_on = on;
    armed = true;
}

using Outputs = std::vector<std::vector<int8_t>>;

// The caller's own memory is taken before anything fails.
struct Request {
    std::vector<int32_t> input;
    Outputs outputs;
    std::vector<void*> pointers;
    int64_t batch;

    Request(cvm::Model& model, int64_t count) : batch(count) {
        const int64_t size = cvm::elements(model.input_shape()) / model.input_shape()[0] * count;
        for (int64_t i = 0; i < size; ++i) input.push_back(int32_t(i * 37 % 255) - 127);
        for (const cvm::Shape& shape : model.output_shapes(count)) outputs.emplace_back(size_t(cvm::elements(shape)) * 4);
        for (auto& output : outputs) pointers.push_back(output.data());
    }
    void run(cvm::Model& model) {
        for (auto& output : outputs) std::fill(output.begin(), output.end(), int8_t(0));
        model.run(input.data(), false, batch, pointers.data());
    }
};

int usage() {
    std::fprintf(stderr, "usage: allocations MODEL_DIR BATCH THREADS once|on [STRIDE]\n");
    return 2;
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate_or_throw(size, std::size_t(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate_or_throw(size, std::size_t(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
    if (argc < 5) return usage();
    const std::string folder = argv[1], mode = argv[4];
    const int64_t batch = std::atoll(argv[2]), stride = argc > 5 ? std::atoll(argv[5]) : 1;
    const int threads = std::atoi(argv[3]);
    if (batch < 1 || threads < 1 || stride < 1 || (mode != "once" && mode != "on")) return usage();

    const auto reference = cvm::Model::load(folder, threads);
    Request request(*reference, batch);
    request.run(*reference);
    const Outputs want = request.outputs;

    int64_t attempts = 0, at_load = 0, at_run = 0, survived = 0;
    for (int64_t number = 0;; number += stride) {
        std::unique_ptr<cvm::Model> model;
        bool complete = false;
        arm(number, mode == "on");
        try {
            model = cvm::Model::load(folder, threads);
            request.run(*model);
            complete = true;
        } catch (const std::bad_alloc&) {
        } catch (const std::exception& error) {
            armed = false;
            std::fprintf(stderr, "allocation %lld: another error than bad_alloc: %s\n", (long long)number, error.what());
            return 1;
        }
        armed = false;
        if (!failed) break;  // there are no more allocations to fail
        ++attempts;
        if (complete) ++survived;
        else ++(model ? at_run : at_load);
        if (!model) model = cvm::Model::load(folder, threads);
        if (!complete) request.run(*model);
        if (request.outputs != want) {
            std::fprintf(stderr, "allocation %lld: other integers afterwards\n", (long long)number);
            return 1;
        }
    }
    std::printf("failed %lld allocations: %lld at load, %lld at run, %lld did no harm\n", (long long)attempts,
                (long long)at_load, (long long)at_run, (long long)survived);
    return attempts ? 0 : 1;
}
