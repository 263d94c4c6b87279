// Which groups run row by row together with the output that they lead to.
#pragma once

#include <map>
#include <set>

#include "plan/groups.h"

namespace cvm {

class Rows {
public:
    Rows(const Graph& graph, const Grouping& grouping);

    // The output that a group runs with; -1: it runs alone.
    int output_of(size_t group) const {
        const auto found = outputs_.find(group);
        return found == outputs_.end() ? -1 : found->second;
    }
    // Whether an entry is read by nothing but what its group runs with, so that a row of it lives for a moment only.
    bool passes(Entry entry) const { return passing_.count(entry) != 0; }

    // Whether such an entry, of one channel, is kept without padding: its pixels are taken for channels.
    bool flat(Entry entry) const { return flat_.count(entry) != 0; }

private:
    // Whether the group can run for one row alone: all that it stores is `result`, which nothing reads but `reader`.
    bool joins(size_t group, Entry result, const Group* reader) const;
    // Whether a group needs of an entry only the row that it computes.
    bool reads_own_row(const Group& reader, Entry entry) const;
    // Whether a group computes its pixels of one channel from nothing but flat entries and single constants.
    bool computes_flat(const Group& group) const;

    const Graph& graph_;
    const Grouping& grouping_;
    std::map<size_t, int> outputs_;
    std::set<Entry> passing_, flat_;
};

}  // namespace cvm
