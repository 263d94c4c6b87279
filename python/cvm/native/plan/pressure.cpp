#include "plan/pressure.h"

#include <algorithm>

namespace cvm {

Pressure::Pressure(std::optional<Entry> anchor) : anchor_(anchor) {
    if (anchor) until_[*anchor] = 0;
}

bool Pressure::add(Entry result, const std::vector<Entry>& inputs, int most) {
    const int now = int(alive_.size());
    // Before the first member there is the anchor, read or not.
    alive_.push_back(now == 0 && anchor_ ? 1 : 0);
    std::vector<std::pair<Entry, int>> extended;  // and from which member on
    bool fits = true;
    for (Entry input : inputs) {
        if (std::any_of(extended.begin(), extended.end(), [&](const auto& seen) { return seen.first == input; })) continue;
        const auto found = until_.find(input);
        int from = found == until_.end() ? now : found->second;
        if (anchor_ && input == *anchor_ && from == 0) from = 1;  // counted at the first member already
        for (int m = from; m <= now; ++m) ++alive_[size_t(m)];
        extended.emplace_back(input, from);
    }
    for (const auto& [input, from] : extended)
        for (int m = from; fits && m <= now; ++m) fits = alive_[size_t(m)] + 1 <= most;
    fits = fits && alive_[size_t(now)] + 1 <= most;
    if (!fits) {
        for (const auto& [input, from] : extended)
            for (int m = from; m <= now; ++m) --alive_[size_t(m)];
        alive_.pop_back();
        return false;
    }
    for (const auto& [input, from] : extended) until_[input] = now + 1;
    until_[result] = now + 1;
    return true;
}

}  // namespace cvm
