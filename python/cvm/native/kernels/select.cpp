// Which kernels run: the fastest that the processor has.
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels/kernels.h"

namespace cvm {

const Kernels* find_kernels(const char* name) {
    for (const Kernels* kernels : {avx512_kernels(), avxvnni_kernels(), avx2_kernels(), portable_kernels()})
        if (kernels && std::strcmp(kernels->name, name) == 0) return kernels;
    return nullptr;
}

const Kernels& best_kernels() {
    const char* wanted = std::getenv("CVM_KERNELS");
    if (wanted)
        if (const Kernels* kernels = find_kernels(wanted)) return *kernels;
    for (const Kernels* kernels : {avx512_kernels(), avxvnni_kernels(), avx2_kernels()})
        if (kernels) return *kernels;
    return *portable_kernels();
}

}  // namespace cvm
