// Fusion: which operators run together in one step.
#pragma once

#include <map>
#include <optional>

#include "ops/operator.h"
#include "plan/pack.h"
#include "plan/pressure.h"
#include "plan/ranges.h"

namespace cvm {

// The pixels and channels of a channel-last tensor.
struct Grid {
    int64_t n, c, h, w;
    bool operator==(const Grid& o) const { return n == o.n && c == o.c && h == o.h && w == o.w; }
};

// Rank 4 is (n, c, h, w); all else is rows of values, (n, c), in their own order.
Grid grid_of(const Shape& shape);

// Whether the second axis is the grid's channels: of ranks 4 and 2. Other ranks are row-major wherever axes matter.
bool has_channels(const Shape& shape);

inline Form form_of(const Node& node) { return operator_of(node.op).form; }

// An entry that consists of picked pixels of another one, which is no such entry itself.
struct Pick {
    Entry source;
    Picking pixels;
};

// Values along an axis, or a part of one, of a tensor that reshapes and transposes made: `stride` values of the source apart.
struct Factor {
    int64_t size, stride;
};

// An entry that has the values of another one in another order.
struct Moved {
    Entry source;
    std::vector<Factor> factors;  // of all axes together, row-major; none of size 1, none that two could be one
};

// Channels that become pixels: a pixel of the source is rows x columns pixels of the result, and channel c of the one in row y
// and column x among these is channel c * channel + y * row + x * column of the source.
struct Interleaving {
    int64_t rows, columns, channel, row, column;
};

struct Group {
    enum class Kind { Input, Conv, Program, Pool, Sum, ChannelMax, Copy, Interleave, Unroll, Concat, Reference };
    Kind kind = Kind::Reference;
    int node = -1;               // the operator that the group is built around; -1 for a pure program
    Entry source;                // of Conv: the tensor that the windows slide over; of Interleave: whose channels become pixels; of Unroll:
                                 // whose pixels, channel-last, are the result in its row-major order
    Interleaving interleaving{};  // of Interleave
    std::optional<Convolution> conv;
    int64_t pixel_bytes = 0;     // of Conv: assumed distance of input pixels
    std::vector<int> members;    // element-wise operators fused behind the node, in order
    int absorbed = -1;           // a member that became the convolution's padding and bias
    Grid grid{};                 // of the result

    // Whether it writes its result, of the given shape, channel-last whoever reads it.
    bool makes_view(const Shape& result) const {
        return kind != Kind::Input && kind != Kind::Reference && (kind != Kind::Unroll || result.size() != 4);
    }
    // Whether it writes the channels of its result alone, no padding behind them.
    bool copies() const { return kind == Kind::Copy || kind == Kind::Interleave || kind == Kind::Unroll; }
};

class Grouping {
public:
    // `share`: what the grouping takes of the model's memory. `watch` may stop it.
    Grouping(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes, const Ranges& ranges,
             Share& share, const Watch* watch);

    std::vector<Group> groups;

    // The entry whose storage an entry shares (reshapes that move nothing).
    Entry resolve(Entry entry) const;
    // The entry that has the values of an output in the same row-major order.
    Entry source_of(Entry head) const;
    bool is_constant(Entry entry) const { return constants_.find(entry) != nullptr; }
    const Shape& shape(Entry entry) const { return shapes_[size_t(entry.node)][size_t(entry.index)]; }
    const Range& range(Entry entry) const {
        const auto found = tightened_.find(entry);
        return found != tightened_.end() ? found->second : ranges_[size_t(entry.node)][size_t(entry.index)];
    }
    int group_of(Entry entry) const;  // -1 for constants
    // What an entry picks; nullptr where it picks nothing.
    const Pick* pick(Entry entry) const;
    // The same as members of a group read it: they reach for the picked pixels themselves, where the grid is the group's.
    const Pick* pick(const Grid& grid, Entry entry) const;

    // Entries that a group reads from others, and those that must be stored because another group or the caller reads them.
    std::vector<Entry> inputs(const Group& group) const;
    bool stored(Entry entry) const { return stored_.count(entry) != 0; }
    bool live(size_t group) const { return live_[group]; }
    const std::vector<int>& readers(Entry entry) const;  // groups that read a stored entry

private:
    void add(int node, Share& share);
    void begin(Group group);  // one of its own, built around an operator
    Group::Kind kind_of(const Node& node, const Shape& out) const;  // of what is neither element-wise nor a convolution
    void note_moves(int node);  // of reshapes and transposes
    bool try_alias(int node);
    bool try_pick(int node, Share& share);
    bool try_interleave(int node);
    bool try_unroll(int node);
    bool try_conv(int node);
    bool elementwise(int node) const;
    void add_elementwise(int node);
    void absorb_maps(Share& share, const Watch* watch);
    void find_live();

    const Graph& graph_;
    const Constants& constants_;
    const std::vector<std::vector<Shape>>& shapes_;
    const Ranges& ranges_;
    std::map<Entry, Entry> alias_;
    std::map<Entry, Moved> moved_;
    std::map<Entry, Pick> picks_;
    std::map<Entry, Range> tightened_;  // of additions that became a convolution's padding and bias
    std::vector<int> group_of_node_;
    std::vector<Pressure> pressures_;  // of every group, while it grows
    std::map<Entry, std::vector<int>> stored_;
    std::vector<bool> live_;
};

}  // namespace cvm
