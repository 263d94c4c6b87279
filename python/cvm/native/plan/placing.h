// Where every tensor lives: its layout, its border, its part of a concatenation.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "plan/groups.h"
#include "plan/plan.h"
#include "plan/rows.h"
#include "plan/tasks.h"

namespace cvm {

// Border of a tensor, filled with one stored byte.
struct Margins {
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    uint8_t value = 128;

    bool any() const { return top || left || bottom || right; }
    bool covers(const Margins& o) const {
        return !o.any() || (value == o.value && top >= o.top && left >= o.left && bottom >= o.bottom && right >= o.right);
    }
};

class Placing {
public:
    // Emits steps into the plan, takes its buffers and its memory.
    Placing(const Graph& graph, const Constants& constants, const Grouping& grouping, const Rows& rows, const Kernels& kernels,
            const Tasks& tasks, Plan& plan);

    // The place that the group of `entry` writes its channel-last result to.
    View make_view(Entry entry);
    Plain make_plain(Entry entry);
    // The entry as a later group reads it, converted where it is needed.
    View get_view(Entry entry);
    Plain get_plain(Entry entry, const Shape& shape);
    // The picked pixels where they lie.
    View picked_view(const Pick& pick);
    View constant_view(const Tensor& tensor, const Grid& grid);
    // The view of an entry that was made channel-last; nullptr where it was not.
    const View* find_view(Entry entry) const;

    View allocate(const Grid& grid, Store type, int64_t padded_channels, const Margins& margins);
    int new_buffer(int64_t bytes);
    void emit(std::unique_ptr<Step> step);

    Margins needed(const Group& group) const;  // the border that a convolution reads around its input
    Margins margins_of(Entry entry) const;
    // Whether `part` was written to its channels of `whole` from the start.
    bool lies_in(Entry part, Entry whole, int64_t channel) const;

private:
    struct Parent {
        Entry entry;  // that has no parent
        int64_t channel;
    };

    View row_view(const Grid& grid, Store type, int64_t padded_channels);  // every row of it is in one place, of each task
    void place_concatenations();
    void request_margins();
    Entry root_of(Entry entry) const;
    int count_reads(const Group& group, Entry entry) const;
    template <typename F>
    Place constant_block(int64_t count, F fill);  // of int32, all 0 before `fill` sees them

    const Graph& graph_;
    const Constants& constants_;
    const Grouping& grouping_;
    const Rows& rows_;
    const int64_t lanes_;
    const Tasks tasks_;
    Plan& plan_;
    std::map<Entry, View> views_;
    std::map<Entry, Plain> plains_;
    std::map<Entry, Parent> parents_;
    std::map<Entry, Margins> margins_;
    std::map<Entry, bool> tight_;
    std::vector<Border> pending_borders_;
};

}  // namespace cvm
