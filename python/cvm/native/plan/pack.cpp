#include "plan/pack.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "plan/pairs.h"

namespace cvm {

Convolution describe_conv(const Attrs& a, const Tensor& weights, const Tensor* bias) {
    Convolution conv;
    conv.groups = a.groups;
    conv.outputs = weights.shape[0];
    conv.inputs = weights.shape[1];
    conv.kernel_h = conv.stored_h = a.kernel[0];
    conv.kernel_w = conv.stored_w = a.kernel[1];
    conv.stride_h = a.strides[0];
    conv.stride_w = a.strides[1];
    conv.dilation_h = a.dilation[0];
    conv.dilation_w = a.dilation[1];
    conv.top = a.padding[0];
    conv.left = a.padding[1];
    conv.weights = &weights;
    for (int64_t o = 0; o < conv.outputs; ++o) conv.bias.push_back(bias ? bias->at(o) : 0);
    return conv;
}

void crop(Convolution& conv) {
    const auto zero = [&](int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
        for (int64_t o = 0; o < conv.outputs; ++o)
            for (int64_t i = 0; i < conv.inputs; ++i)
                for (int64_t y = y0; y < y1; ++y)
                    for (int64_t x = x0; x < x1; ++x)
                        if (conv.weight(o, i, y, x)) return false;
        return true;
    };
    while (conv.kernel_h > 1 && zero(0, 1, 0, conv.kernel_w)) {
        ++conv.skip_h;
        --conv.kernel_h;
        conv.top -= conv.dilation_h;
    }
    while (conv.kernel_h > 1 && zero(conv.kernel_h - 1, conv.kernel_h, 0, conv.kernel_w)) --conv.kernel_h;
    while (conv.kernel_w > 1 && zero(0, conv.kernel_h, 0, 1)) {
        ++conv.skip_w;
        --conv.kernel_w;
        conv.left -= conv.dilation_w;
    }
    while (conv.kernel_w > 1 && zero(0, conv.kernel_h, conv.kernel_w - 1, conv.kernel_w)) --conv.kernel_w;
}

bool ConstantMap::fits(int64_t channels) const {
    const Shape& shape = tensor.shape;
    if (!pixels) return shape.size() >= 3 && tensor.size() == channels * height * width;
    return shape.size() == 4 && shape[0] == 1 && shape[1] == channels;
}

bool absorb_map(Convolution& conv, const ConstantMap& map, int64_t in_h, int64_t in_w) {
    const int64_t out_h = map.height, out_w = map.width;
    if (!map.fits(conv.outputs)) return false;
    // Sums over the input channels of the taps above and left of every tap: those of any rectangle follow from four.
    const int64_t row = conv.kernel_w + 1, area = (conv.kernel_h + 1) * row;
    std::vector<int64_t> above(size_t(conv.outputs * area), 0);
    for (int64_t o = 0; o < conv.outputs; ++o)
        for (int64_t y = 0; y < conv.kernel_h; ++y)
            for (int64_t x = 0; x < conv.kernel_w; ++x) {
                int64_t* at = above.data() + o * area + (y + 1) * row + x + 1;
                *at = at[-1] + at[-row] - at[-row - 1];
                for (int64_t i = 0; i < conv.inputs; ++i) *at += conv.weight(o, i, y, x);
            }
    // The taps of a window that meet the input form a rectangle of the kernel: [first, last) per axis.
    const auto inside = [](int64_t start, int64_t dilation, int64_t kernel, int64_t size) {
        int64_t first = 0, last = kernel;
        while (first < last && start + first * dilation < 0) ++first;
        while (last > first && start + (last - 1) * dilation >= size) --last;
        return std::pair(first, last);
    };
    struct Position {
        int64_t y, x;
        const std::vector<int64_t>* outside;  // sum of the taps in the padding, per output channel
    };
    std::vector<std::pair<int64_t, int64_t>> columns;
    for (int64_t ox = 0; ox < out_w; ++ox)
        columns.push_back(inside(ox * conv.stride_w - conv.left, conv.dilation_w, conv.kernel_w, in_w));
    std::map<std::array<int64_t, 4>, std::vector<int64_t>> sums;
    std::vector<Position> positions;
    const Position* interior = nullptr;
    positions.reserve(size_t(out_h * out_w));
    for (int64_t oy = 0; oy < out_h; ++oy) {
        const auto [y0, y1] = inside(oy * conv.stride_h - conv.top, conv.dilation_h, conv.kernel_h, in_h);
        for (int64_t ox = 0; ox < out_w; ++ox) {
            const auto [x0, x1] = columns[size_t(ox)];
            auto [at, fresh] = sums.try_emplace({y0, y1, x0, x1});
            if (fresh) {
                for (int64_t o = 0; o < conv.outputs; ++o) {
                    const int64_t* sum = above.data() + o * area;
                    const int64_t met = sum[y1 * row + x1] - sum[y0 * row + x1] - sum[y1 * row + x0] + sum[y0 * row + x0];
                    at->second.push_back(sum[area - 1] - met);
                }
            }
            positions.push_back({oy, ox, &at->second});
            if (!interior && y1 - y0 == conv.kernel_h && x1 - x0 == conv.kernel_w) interior = &positions.back();
        }
    }
    if (!interior) return false;
    const auto added = [&](int64_t o, const Position& p) { return map.at(o, p.y, p.x); };
    std::optional<int64_t> value;
    for (int64_t o = 0; o < conv.outputs; ++o) {
        const int64_t bias = added(o, *interior);
        for (const Position& p : positions) {
            const int64_t outside = (*p.outside)[size_t(o)], rest = added(o, p) - bias;
            if (!value && outside) value = rest / outside;
            if (rest != value.value_or(0) * outside) return false;
        }
    }
    if (value.value_or(0) < -128 || value.value_or(0) > 127) return false;
    conv.pad_value = value.value_or(0);
    for (int64_t o = 0; o < conv.outputs; ++o) conv.bias[size_t(o)] += added(o, *interior);
    return true;
}

std::vector<BorderPart> border_parts(const ConstantMap& map, int64_t channels) {
    constexpr size_t kMostParts = 64;
    if (!map.fits(channels)) return {};
    // Where rows or columns differ from the one before, and where that ends.
    const auto cuts = [&](int64_t count, int64_t across, const std::vector<int32_t>* picked, auto value) {
        std::vector<int64_t> starts{0};
        for (int64_t i = 1; i < count && starts.size() <= kMostParts; ++i) {
            bool same = picked && (*picked)[size_t(i)] == (*picked)[size_t(i - 1)];
            if (!same) {
                same = true;
                for (int64_t o = 0; same && o < channels; ++o)
                    for (int64_t k = 0; same && k < across; ++k) same = value(o, i, k) == value(o, i - 1, k);
            }
            if (!same) starts.push_back(i);
        }
        starts.push_back(count);
        return starts;
    };
    const std::vector<int64_t> rows = cuts(map.height, map.width, map.pixels ? &map.pixels->rows : nullptr,
                                           [&](int64_t o, int64_t y, int64_t x) { return map.at(o, y, x); });
    const std::vector<int64_t> columns = cuts(map.width, map.height, map.pixels ? &map.pixels->columns : nullptr,
                                              [&](int64_t o, int64_t x, int64_t y) { return map.at(o, y, x); });
    if ((rows.size() - 1) * (columns.size() - 1) > kMostParts) return {};
    std::vector<BorderPart> parts;
    int64_t largest = 0;
    for (size_t i = 0; i + 1 < rows.size(); ++i)
        for (size_t j = 0; j + 1 < columns.size(); ++j) {
            BorderPart part{rows[i], columns[j], rows[i + 1] - rows[i], columns[j + 1] - columns[j], {}};
            for (int64_t o = 0; o < channels; ++o) part.added.push_back(map.at(o, part.y, part.x));
            largest = std::max(largest, part.h * part.w);
            parts.push_back(std::move(part));
        }
    // Many small parts would leave tiles half empty.
    return 2 * largest < map.height * map.width ? std::vector<BorderPart>() : parts;
}

Range output_range(const Convolution& conv, const Range& input) {
    Range r;
    for (int64_t o = 0; o < conv.outputs; ++o) {
        int64_t lo = conv.bias[size_t(o)], hi = lo;
        for (int64_t i = 0; i < conv.inputs; ++i) {
            const int64_t channel = o / (conv.outputs / conv.groups) * conv.inputs + i;
            const int64_t low = std::min(input.low(channel), conv.pad_value);
            const int64_t high = std::max(input.high(channel), conv.pad_value);
            for (int64_t y = 0; y < conv.kernel_h; ++y)
                for (int64_t x = 0; x < conv.kernel_w; ++x) {
                    const int64_t w = conv.weight(o, i, y, x);
                    lo += w * (w > 0 ? low : high);
                    hi += w * (w > 0 ? high : low);
                }
        }
        r.lo.push_back(lo);
        r.hi.push_back(hi);
    }
    return r;
}

bool takes_rows(const Convolution& conv, int64_t pixel_bytes) {
    return conv.groups == 1 && conv.dilation_w == 1 && pixel_bytes == conv.inputs;
}

namespace {

// Weights of a block of output channels as [taps][tap_bytes][width], zero where a channel meets no input.
std::vector<int8_t> plain_weights(const Convolution& conv, const ConvStep::Block& block, int64_t width, bool row_taps, int64_t taps, int64_t tap_bytes) {
    std::vector<int8_t> plain(size_t(taps * tap_bytes * width), int8_t(0));
    const int64_t end = std::min(block.channel + width, conv.outputs);
    for (int64_t o = block.channel; o < end; ++o) {
        const int64_t shift = o / (conv.outputs / conv.groups) * conv.inputs - block.input_channel;
        for (int64_t ky = 0; ky < conv.kernel_h; ++ky)
            for (int64_t kx = 0; kx < conv.kernel_w; ++kx) {
                const int64_t first = row_taps ? ky * tap_bytes + kx * conv.inputs : (ky * conv.kernel_w + kx) * tap_bytes + shift;
                for (int64_t i = 0; i < conv.inputs; ++i)
                    plain[size_t((first + i) * width + o - block.channel)] = int8_t(conv.weight(o, i, ky, kx));
            }
    }
    return plain;
}

}  // namespace

PackedConv pack_conv(const Convolution& conv, int64_t pixel_bytes, const Tile& tile, Share& share) {
    const int64_t lanes = tile.lanes, depth = tile.depth;
    PackedConv packed;
    const int64_t group_outputs = conv.outputs / conv.groups;
    // Blocks of output channels: as wide as possible without leaving a group, or one block of channels of several groups
    // whose weights are zero outside their own group.
    const bool narrow = conv.groups > 1 && group_outputs % lanes != 0;
    int64_t window = 0;  // input channels that a block meets
    for (int64_t o = 0; o < conv.outputs;) {
        const int64_t end_of_group = narrow ? conv.outputs : (o / group_outputs + 1) * group_outputs;
        const int64_t end = std::min(o + (narrow ? lanes : int64_t(tile.width)), end_of_group);
        const int64_t first_group = o / group_outputs, last_group = (end - 1) / group_outputs;
        packed.blocks.push_back({o, int(ceil_div(end - o, lanes)), 0, first_group * conv.inputs});
        window = std::max(window, (last_group - first_group + 1) * conv.inputs);
        o = end;
    }
    // All blocks read as many channels as the one that meets most, and none beyond the last.
    for (ConvStep::Block& block : packed.blocks)
        block.input_channel = std::min(block.input_channel, conv.groups * conv.inputs - window);
    packed.row_taps = takes_rows(conv, pixel_bytes);
    const int64_t taps = packed.row_taps ? conv.kernel_h : conv.kernel_h * conv.kernel_w;
    const int64_t tap_bytes = packed.row_taps ? conv.kernel_w * conv.inputs : window;
    packed.steps = int(ceil_div(tap_bytes, depth));

    std::vector<PairedOrder> orders;
    auto fetches = std::make_shared<std::vector<Fetch>>();
    int64_t bytes = 0;
    for (ConvStep::Block& block : packed.blocks) {
        const int64_t width = block.blocks * lanes;
        block.weights = bytes;
        if (!tile.paired) {
            bytes += taps * packed.steps * depth * width;
            continue;
        }
        orders.push_back(pair_inputs(plain_weights(conv, block, width, packed.row_taps, taps, tap_bytes), taps, tap_bytes, width));
        const std::vector<Fetch>& found = orders.back().fetches;
        block.first_fetch = int64_t(fetches->size());
        block.fetches = int(found.size());
        share.take(int64_t(found.size() * sizeof(Fetch)), "packed weights");
        fetches->insert(fetches->end(), found.begin(), found.end());
        bytes += orders.back().bytes * width;
    }
    share.take(bytes, "packed weights");
    auto weights = std::make_shared<Aligned<int8_t>>(size_t(bytes), int8_t(0));
    packed.init.assign(size_t(round_up(conv.outputs, lanes)), 0);
    for (size_t b = 0; b < packed.blocks.size(); ++b) {
        const ConvStep::Block& block = packed.blocks[b];
        const int64_t width = block.blocks * lanes;
        const std::vector<int8_t> plain = plain_weights(conv, block, width, packed.row_taps, taps, tap_bytes);
        std::vector<int64_t> sums(size_t(width), 0);
        for (int64_t i = 0; i < taps * tap_bytes; ++i) {
            const int64_t place = tile.paired ? orders[b].places[size_t(i)] : i / tap_bytes * packed.steps * depth + i % tap_bytes;
            int8_t* to = weights->data() + block.weights + place / depth * width * depth + place % depth;
            for (int64_t o = 0; o < width; ++o) {
                to[o * depth] = plain[size_t(i * width + o)];
                sums[size_t(o)] += to[o * depth];
            }
        }
        const int64_t end = std::min(width, conv.outputs - block.channel);
        for (int64_t o = 0; o < end; ++o) packed.init[size_t(block.channel + o)] = wrap(-tile.offset * sums[size_t(o)]);
    }
    packed.weights = weights;
    packed.fetches = fetches;
    return packed;
}

PackedDepthwise pack_depthwise(const Convolution& conv, int64_t repeat, const Tile& tile, Share& share) {
    const int64_t width = tile.width, lanes = tile.lanes;
    const int64_t taps = conv.kernel_h * conv.kernel_w, steps = ceil_div(taps, tile.taps);
    const int64_t tiles = ceil_div(conv.outputs * repeat, width);
    share.take(tiles * steps * width * kDepthwiseBytes, "packed weights");
    auto weights = std::make_shared<Aligned<int8_t>>(size_t(tiles * steps * width * kDepthwiseBytes), int8_t(0));
    PackedDepthwise packed;
    packed.init.assign(size_t(tiles * width), 0);
    for (int64_t channel = 0; channel < conv.outputs * repeat; ++channel) {
        const int64_t o = channel % conv.outputs, at = channel / width, c = channel % width;
        // Interleaved: sums[i] of a kernel holds channels 4 i .. 4 i + 3 of every 16.
        const int64_t slot = tile.interleaved ? c % lanes / 4 * (width / 4) + c / lanes * 4 + c % 4 : c;
        int64_t sum = 0;
        for (int64_t t = 0; t < taps; ++t) {
            const int64_t w = conv.weight(o, 0, t / conv.kernel_w, t % conv.kernel_w);
            int8_t* to = weights->data() + ((at * steps + t / tile.taps) * width + slot) * kDepthwiseBytes;
            const int16_t word = int16_t(w);
            if (tile.taps == 2) std::memcpy(to + t % 2 * 2, &word, 2);
            else to[t % 4] = int8_t(w);
            sum += w;
        }
        packed.init[size_t(channel)] = wrap(-tile.offset * sum);
    }
    packed.weights = weights;
    return packed;
}

}  // namespace cvm
