#include "plan/pairs.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace cvm {
namespace {

constexpr int kAtOnce = 16, kNone = -1;

// Partners among up to 16 bytes: as many as a greedy choice and exchanges between two pairs find.
class Matching {
public:
    // `weights`: [count][width]
    Matching(const int8_t* weights, int count, int64_t width) : count_(count) {
        std::fill_n(partner_, kAtOnce, kNone);
        for (int i = 0; i < count; ++i)
            for (int j = 0; j < i; ++j) {
                if (!fit(weights + i * width, weights + j * width, width)) continue;
                fits_[i] |= 1u << j;
                fits_[j] |= 1u << i;
            }
        while (match_rarest() || exchange()) {}
    }

    // Every byte once, neighbours beside each other; kNone beside bytes without one.
    std::vector<int> order() const {
        std::vector<int> order;
        for (int i = 0; i < count_; ++i) {
            if (partner_[i] != kNone && partner_[i] < i) continue;
            order.push_back(i);
            order.push_back(partner_[i]);
        }
        return order;
    }

private:
    static bool fit(const int8_t* a, const int8_t* b, int64_t width) {
        int most = 0;
        for (int64_t o = 0; o < width; ++o) most = std::max(most, std::abs(a[o] + b[o]));
        return most <= 128;
    }
    bool fits(int i, int j) const { return fits_[i] >> j & 1; }
    // How many bytes are left that could be this one's partner.
    int choices(int i) const {
        int found = 0;
        for (int j = 0; j < count_; ++j) found += partner_[j] == kNone && fits(i, j);
        return found;
    }
    void match(int i, int j) {
        partner_[i] = j;
        partner_[j] = i;
    }
    // The byte with the fewest choices takes the one with the fewest of those.
    bool match_rarest() {
        const auto rarest = [&](auto allowed) {
            int best = kNone, least = kAtOnce + 1;
            for (int i = 0; i < count_; ++i) {
                if (partner_[i] != kNone || !allowed(i)) continue;
                const int found = choices(i);
                if (found && found < least) {
                    best = i;
                    least = found;
                }
            }
            return best;
        };
        const int first = rarest([](int) { return true; });
        if (first == kNone) return false;
        match(first, rarest([&](int i) { return fits(first, i); }));
        return true;
    }
    // Two bytes without partners take those of a pair.
    bool exchange() {
        for (int i = 0; i < count_; ++i)
            for (int j = 0; j < count_ && partner_[i] == kNone; ++j)
                for (int a = 0; a < count_ && i != j && partner_[j] == kNone; ++a) {
                    const int b = partner_[a];
                    if (b == kNone || !fits(i, a) || !fits(j, b)) continue;
                    match(i, a);
                    match(j, b);
                    return true;
                }
        return false;
    }

    int count_;
    unsigned fits_[kAtOnce] = {};
    int partner_[kAtOnce];
};

}  // namespace

PairedOrder pair_inputs(const std::vector<int8_t>& weights, int64_t taps, int64_t tap_bytes, int64_t width) {
    PairedOrder paired;
    paired.places.resize(size_t(taps * tap_bytes));
    for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t first = 0; first < tap_bytes; first += kAtOnce) {
            const int64_t at = tap * tap_bytes + first;
            const int count = int(std::min<int64_t>(kAtOnce, tap_bytes - first));
            std::vector<int> order = Matching(weights.data() + at * width, count, width).order();
            order.resize(size_t((order.size() + 3) / 4 * 4), kNone);
            for (size_t done = 0; done < order.size(); done += kAtOnce) {
                Fetch fetch = {{}, int32_t(tap), int32_t(first), int32_t(std::min(order.size() - done, size_t(kAtOnce)))};
                std::fill_n(fetch.index, kAtOnce, uint8_t(128));
                for (int i = 0; i < fetch.bytes; ++i) {
                    const int byte = order[done + size_t(i)];
                    if (byte == kNone) continue;
                    fetch.index[i] = uint8_t(byte);
                    paired.places[size_t(at + byte)] = paired.bytes + i;
                }
                paired.bytes += fetch.bytes;
                paired.fetches.push_back(fetch);
            }
        }
    return paired;
}

}  // namespace cvm
