// Which kernels run: the fastest that the processor has.
#include <cstdlib>
#include <string>

#include "base/base.h"
#include "kernels/kernels.h"

namespace cvm {
namespace {

struct Table {
    const char* name;
    const Kernels* (*get)();
};

constexpr Table kTables[] = {  // the fastest first
    {"avx512", avx512_kernels}, {"avxvnni", avxvnni_kernels}, {"avx2", avx2_kernels},
    {"i8mm", i8mm_kernels}, {"dotprod", dotprod_kernels}, {"neon", neon_kernels},
    {"portable", portable_kernels}};

}  // namespace

const Kernels& best_kernels() {
    const char* name = std::getenv("CVM_KERNELS");
    const std::string wanted = name ? name : "";
    bool known = wanted.empty();
    const Kernels* best = nullptr;
    for (const Table& table : kTables) {
        const Kernels* kernels = table.get();
        known = known || wanted == table.name;
        if (kernels && wanted == table.name) return *kernels;
        if (kernels && !best) best = kernels;
    }
    if (!known) fail("CVM_KERNELS=", wanted, ": there are avx512, avxvnni, avx2, i8mm, dotprod, neon and portable");
    return *best;
}

}  // namespace cvm
