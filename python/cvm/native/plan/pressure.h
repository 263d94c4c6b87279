// How many tiles of a group are alive at a time when its members run in order.
#pragma once

#include <map>
#include <vector>

#include "graph/graph.h"

namespace cvm {

class Pressure {
public:
    // anchored: the group is built around this operator's result, which is there before the first member.
    explicit Pressure(std::optional<Entry> anchor = std::nullopt);

    // Adds a member that reads these entries (resolved). False, and nothing added, where more than `most` tiles would be
    // alive.
    bool add(Entry result, const std::vector<Entry>& inputs, int most);
    size_t members() const { return alive_.size(); }

private:
    std::map<Entry, int> until_;  // the member before which an entry need not be counted: it is alive, or not yet needed
    std::vector<int> alive_;      // entries alive while each member runs, its result not counted
    std::optional<Entry> anchor_;
};

}  // namespace cvm
