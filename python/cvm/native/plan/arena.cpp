#include "plan/arena.h"

#include <algorithm>
#include <map>

namespace cvm {
namespace {

// Comparisons of buffers, about a second's; those that come later go to the end.
constexpr int64_t kMostComparisons = int64_t(1) << 26;

struct Life {
    int first = -1, last = -1;  // steps
};

std::vector<Life> lives(const std::vector<std::unique_ptr<Step>>& steps, size_t buffers) {
    std::vector<Life> result(buffers);
    std::vector<int> touched;
    for (size_t s = 0; s < steps.size(); ++s) {
        touched.clear();
        steps[s]->touch(touched);
        for (const Border& border : steps[s]->borders) touched.push_back(border.view.place.buffer);
        for (int b : touched) {
            if (result[size_t(b)].first < 0) result[size_t(b)].first = int(s);
            result[size_t(b)].last = int(s);
        }
    }
    return result;
}

// Lives that were added, found by the span that they meet: a segment tree of the steps for those that are alive at a step,
// and an order by first step for those that begin later.
class Timeline {
public:
    explicit Timeline(size_t steps) : size_(std::max<size_t>(steps, 1)), covering_(2 * size_) {}

    void add(const Life& life, size_t id) {
        starting_.emplace(life.first, id);
        // Every step of the life is below exactly one of the nodes that it is noted at.
        for (size_t l = size_ + size_t(life.first), r = size_ + size_t(life.last) + 1; l < r; l /= 2, r /= 2) {
            if (l % 2) covering_[l++].push_back(id);
            if (r % 2) covering_[--r].push_back(id);
        }
    }

    void find(const Life& life, std::vector<size_t>& found) const {
        for (size_t at = size_ + size_t(life.first); at; at /= 2) found.insert(found.end(), covering_[at].begin(), covering_[at].end());
        const auto end = starting_.upper_bound(life.last);
        for (auto at = starting_.upper_bound(life.first); at != end; ++at) found.push_back(at->second);
    }

private:
    const size_t size_;
    std::vector<std::vector<size_t>> covering_;
    std::multimap<int, size_t> starting_;
};

}  // namespace

// Greedy by size: every buffer goes to the lowest offset that no buffer alive at the same time covers. A buffer that is
// written where another one dies may take that one's place.
Arena lay_out(const std::vector<std::unique_ptr<Step>>& steps, const std::vector<int64_t>& sizes) {
    const size_t count = sizes.size();
    std::vector<Life> alive = lives(steps, count);
    std::vector<size_t> owner(count);
    for (size_t i = 0; i < count; ++i) owner[i] = i;
    const std::vector<Life> own = alive;
    for (size_t s = 0; s < steps.size(); ++s) {
        const auto [read, written] = steps[s]->in_place();
        if (read < 0 || written < 0 || own[size_t(read)].last != int(s) || own[size_t(written)].first != int(s) ||
            sizes[size_t(read)] != sizes[size_t(written)])
            continue;
        owner[size_t(written)] = owner[size_t(read)];
        alive[owner[size_t(read)]].last = own[size_t(written)].last;
    }
    std::vector<size_t> order;
    for (size_t i = 0; i < count; ++i)
        if (owner[i] == i && alive[i].first >= 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });

    Arena arena;
    arena.offsets.assign(count, 0);
    Timeline placed(steps.size());
    std::vector<size_t> others;
    int64_t compared = 0;
    for (size_t b : order) {
        const int64_t bytes = round_up(sizes[b], 64);
        int64_t offset = 0;
        if (compared > kMostComparisons) {
            offset = arena.bytes;
        } else {
            others.clear();
            placed.find(alive[b], others);
            compared += int64_t(others.size());
            std::sort(others.begin(), others.end(), [&](size_t x, size_t y) { return arena.offsets[x] < arena.offsets[y]; });
            for (size_t other : others) {
                const int64_t start = arena.offsets[other];
                if (offset + bytes <= start) break;
                offset = std::max(offset, start + round_up(sizes[other], 64));
            }
            placed.add(alive[b], b);
        }
        arena.offsets[b] = offset;
        arena.bytes = std::max(arena.bytes, offset + bytes);
    }
    for (size_t i = 0; i < count; ++i) arena.offsets[i] = arena.offsets[owner[i]];
    return arena;
}

}  // namespace cvm
