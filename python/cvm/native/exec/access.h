// How steps reach their tensors: values, pixels, tiles of pixels.
#pragma once

#include <algorithm>
#include <type_traits>

#include "exec/steps.h"

namespace cvm {

inline void touch_place(const Place& place, std::vector<int>& buffers) {
    if (place.buffer >= 0) buffers.push_back(place.buffer);
}

inline uint8_t* pixel(const Call& call, const View& view, int64_t n, int64_t y, int64_t x) {
    const int64_t at = view.picked ? view.picked->rows[size_t(y)] + view.picked->columns[size_t(x)] : y * view.sy + x * view.sx;
    return call.at(view.place) + n * view.sn + at;
}

// What a stored number stands for, and the other way round.
template <typename T>
int32_t value_of(T stored) {
    return sizeof(T) == 1 ? int32_t(stored) - 128 : int32_t(stored);
}

template <typename T>
T stored_as(int32_t value) {
    return sizeof(T) == 1 ? T(value + 128) : T(value);
}

// Calls f with a null pointer to the type that a tensor is stored as.
template <typename F>
void with_type(Store type, F f) {
    switch (type) {
        case Store::U8: return f(static_cast<uint8_t*>(nullptr));
        case Store::I16: return f(static_cast<int16_t*>(nullptr));
        default: return f(static_cast<int32_t*>(nullptr));
    }
}

// The operands of a program with this call's addresses.
struct Bound {
    std::vector<Operand> operands;
    Program program;

    Bound(const Epilogue& epilogue, const Call& call) {
        for (const View& view : epilogue.operands)
            operands.push_back({call.at(view.place), view.sn, view.sy, view.sx, view.picked ? view.picked->rows.data() : nullptr,
                                view.picked ? view.picked->columns.data() : nullptr, view.type, view.splat});
        program = {epilogue.code.data(), int(epilogue.code.size()), operands.data()};
    }
};

// The tiles that a program works on.
struct alignas(64) Registers {
    int32_t values[kMaxRegisters * kMaxTileValues];
    int32_t* first() { return values; }
    int32_t* at(int number, const Tile& tile) { return values + number * tile.rows * tile.width; }
};

// The pixels of a tile: `rows` of an n x h x w grid from flat index `first` on.
struct Span {
    int64_t n, y, x, h, w, top, left;
    int rows;

    // top, left: where the grid begins in a larger one.
    Span(int64_t first, int64_t end, int64_t height, int64_t width, int most, int64_t top = 0, int64_t left = 0)
        : n(first / (width * height)), y(first / width % height), x(first % width), h(height), w(width), top(top), left(left),
          rows(int(std::min<int64_t>(most, end - first))) {}

    // Calls f(r, count, n, y, x) for every run of pixels within a row of the picture: the first of them and how many.
    template <typename F>
    void runs(F f) const {
        int64_t at_n = n, at_y = y, at_x = x;
        for (int r = 0; r < rows;) {
            const int count = int(std::min<int64_t>(rows - r, w - at_x));
            f(r, count, at_n, at_y + top, at_x + left);
            r += count;
            at_x = 0;
            if (++at_y == h) {
                at_y = 0;
                ++at_n;
            }
        }
    }

    void locate(Pixels& pixels) const {
        pixels.rows = rows;
        runs([&](int r, int count, int64_t at_n, int64_t at_y, int64_t at_x) {
            for (int i = 0; i < count; ++i) {
                pixels.n[r + i] = int32_t(at_n);
                pixels.y[r + i] = int32_t(at_y);
                pixels.x[r + i] = int32_t(at_x) + i;
            }
        });
    }

    void addresses(uint8_t* base, int64_t sn, int64_t sy, int64_t sx, uint8_t** out) const {
        runs([&](int r, int count, int64_t at_n, int64_t at_y, int64_t at_x) {
            uint8_t* at = base + at_n * sn + at_y * sy + at_x * sx;
            for (int i = 0; i < count; ++i, at += sx) out[r + i] = at;
        });
    }
};

}  // namespace cvm
