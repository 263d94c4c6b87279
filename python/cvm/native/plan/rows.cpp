#include "plan/rows.h"

#include <algorithm>

namespace cvm {
namespace {

constexpr int64_t kLarge = int64_t(1) << 18;  // values that do not stay in a cache from one step to the next
constexpr int64_t kLeastWidth = 32;           // of a row, so that it fills tiles

}  // namespace

Rows::Rows(const Graph& graph, const Grouping& grouping) : graph_(graph), grouping_(grouping) {
    std::map<Entry, int> heads;
    for (Entry head : graph.heads) ++heads[grouping.source_of(head)];
    for (size_t i = 0; i < graph.heads.size(); ++i) {
        const Entry head = grouping.source_of(graph.heads[i]);
        if (grouping.is_constant(graph.heads[i]) || heads[head] != 1) continue;
        if (!joins(size_t(grouping.group_of(head)), head, nullptr)) continue;
        std::vector<Entry> passing{head};
        bool large = false;
        for (size_t k = 0; k < passing.size(); ++k) {  // which grows
            const Group& reader = grouping.groups[size_t(grouping.group_of(passing[k]))];
            large = large || elements(grouping.shape(passing[k])) >= kLarge;
            for (Entry input : grouping.inputs(reader))
                if (!heads.count(input) && joins(size_t(grouping.group_of(input)), input, &reader) && reads_own_row(reader, input))
                    passing.push_back(input);
        }
        if (!large) continue;
        for (Entry entry : passing) outputs_[size_t(grouping.group_of(entry))] = int(i);
        passing_.insert(passing.begin(), passing.end());
        std::sort(passing.begin(), passing.end(), [&](Entry a, Entry b) { return grouping.group_of(a) < grouping.group_of(b); });
        for (Entry entry : passing)
            if (computes_flat(grouping.groups[size_t(grouping.group_of(entry))])) flat_.insert(entry);
    }
}

bool Rows::joins(size_t group, Entry result, const Group* reader) const {
    const Group& writer = grouping_.groups[group];
    if (writer.kind != Group::Kind::Program && writer.kind != Group::Kind::ChannelMax) return false;
    if (writer.grid.h == 1 || writer.grid.w < kLeastWidth) return false;
    if (reader && (writer.grid.n != reader->grid.n || writer.grid.h != reader->grid.h)) return false;
    for (int member : writer.members)
        if (grouping_.stored({member, 0}) && !(Entry{member, 0} == result)) return false;
    return grouping_.readers(result).size() == (reader ? 1 : 0);
}

bool Rows::computes_flat(const Group& group) const {
    if (group.grid.c != 1) return false;
    if (group.kind == Group::Kind::ChannelMax) return true;
    for (int member : group.members)
        for (Entry input : graph_.nodes[size_t(member)].inputs)
            if (grouping_.pick(group.grid, input) || (grouping_.is_constant(input) && elements(grouping_.shape(input)) > 1)) return false;
    const std::vector<Entry> inputs = grouping_.inputs(group);
    return std::all_of(inputs.begin(), inputs.end(),
                       [&](Entry input) { return flat(input) && grid_of(grouping_.shape(input)) == group.grid; });
}

bool Rows::reads_own_row(const Group& reader, Entry entry) const {
    for (int member : reader.members)
        for (Entry input : graph_.nodes[size_t(member)].inputs) {
            const Pick* picked = grouping_.pick(reader.grid, input);
            if (!picked || !(picked->source == entry)) continue;
            const std::vector<int32_t>& rows = picked->pixels.rows;
            for (size_t y = 0; y < rows.size(); ++y)
                if (rows[y] != int32_t(y)) return false;
        }
    return true;
}

}  // namespace cvm
