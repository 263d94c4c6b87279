#include "plan/cache.h"

namespace cvm {

std::shared_ptr<const PackedConv> PackCache::conv(const Group& group, Entry weights, int64_t pixel_bytes) {
    const Convolution& conv = *group.conv;
    const Key key{weights, conv.groups, conv.inputs, conv.kernel_h, conv.kernel_w, takes_rows(conv, pixel_bytes)};
    const std::lock_guard lock(mutex_);
    const auto found = convs_.find(key);
    if (found != convs_.end()) return found->second;
    Share share = share_.another();
    auto packed = std::make_shared<const PackedConv>(pack_conv(conv, pixel_bytes, tile_, share));
    convs_.emplace(key, packed);
    share_.join(std::move(share));
    return packed;
}

std::shared_ptr<const PackedDepthwise> PackCache::depthwise(const Group& group, int64_t repeat) {
    const std::lock_guard lock(mutex_);
    const auto found = depthwise_.find({group.node, repeat});
    if (found != depthwise_.end()) return found->second;
    Share share = share_.another();
    auto packed = std::make_shared<const PackedDepthwise>(pack_depthwise(*group.conv, repeat, tile_, share));
    depthwise_.emplace(std::pair(group.node, repeat), packed);
    share_.join(std::move(share));
    return packed;
}

}  // namespace cvm
