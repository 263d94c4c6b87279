// Packed weights, shared by the plans of one model for different batch sizes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "base/limits.h"
#include "plan/groups.h"
#include "plan/pack.h"

namespace cvm {

class PackCache {
public:
    PackCache(const Kernels& kernels, Memory& memory) : tile_(kernels.tile), share_(memory) {}

    // Weights of the group's convolution, for input pixels so many bytes apart. Throws LimitError.
    std::shared_ptr<const PackedConv> conv(const Group& group, Entry weights, int64_t pixel_bytes);
    std::shared_ptr<const PackedDepthwise> depthwise(const Group& group, int64_t repeat);

private:
    using Key = std::tuple<Entry, int64_t, int64_t, int64_t, int64_t, bool>;  // weights, groups, inputs, kernel, row taps

    const Tile tile_;
    std::mutex mutex_;
    Share share_;
    std::map<Key, std::shared_ptr<const PackedConv>> convs_;  // layers with the same weights share them
    std::map<std::pair<int, int64_t>, std::shared_ptr<const PackedDepthwise>> depthwise_;  // node, repeat
};

}  // namespace cvm
