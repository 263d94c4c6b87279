// The inner loops, one implementation per instruction set behind one table of functions.
//
// Activations are stored channel-last: the channels of a pixel are contiguous and padded to a multiple of 16.
// Three storage types: U8 holds value + 128 (the unsigned operand of the dot-product instructions), I16, I32.
// All arithmetic is int32 and wraps; the planner proves that it never does.
#pragma once

#include <cstdint>

namespace cvm {

enum class Store : uint8_t { U8, I16, I32 };

constexpr int64_t store_bytes(Store type) { return type == Store::U8 ? 1 : type == Store::I16 ? 2 : 4; }

constexpr int kMaxRegisters = 8;     // tiles that a program may hold at a time

// The form in which a table takes its work: every table has its own, and plans are made for one table.
struct Tile {
    int rows, width;   // pixels and channels of a tile, within the limits below
    int lanes;         // channels of a pixel are padded to a multiple of this; a block has so many
    int depth;         // bytes of input that one step of `conv` multiplies and adds
    int taps;          // taps that one step of `depthwise` multiplies and adds: four with weights of 8 bits, or two of 16
    int offset;        // what `conv` and `depthwise` add to the values that they multiply: 128, or 0 where they remove the bias
    bool interleaved;  // depthwise weights in the order [steps][4][blocks of 16 channels][four of these][4 bytes]
    bool paired;       // `conv` takes its input by `Fetch`es, in an order in which any two neighbouring products fit int16
};

constexpr int kDepthwiseBytes = 4;      // of a channel's weights in a step of `depthwise`
constexpr int kMaxTileRows = 32;
constexpr int kMaxTileValues = 24 * 64;

// --- element-wise programs ------------------------------------------------------------------------------

enum class Code : uint8_t {
    Load,      // dst = tensor
    Const,     // dst = per-channel constants
    Store,     // tensor = a
    Add, Sub, Mul, Max, Div, Greater,  // dst = a op b
    AddConst, MulConst,                // dst = a op constants (per channel)
    Abs, Negative,
    Clip,      // dst = min(max(a, lo), hi)
    Shift,     // dst = clip(((a >> (shift - 1)) + 1) >> 1, lo, hi)
    LeftShift, // dst = clip(a << shift, lo, hi), the shift exact in 64 bits
    Lut,       // dst = table[clamp(a, 0, hi)]
};

// A tensor operand: address of a pixel is base + n * sn + y * sy + x * sx (bytes); a stride of 0 broadcasts. Where pixels are
// picked, rows[y] + columns[x] takes the place of y * sy + x * sx.
struct Operand {
    uint8_t* base;
    int64_t sn, sy, sx;
    const int64_t* rows;     // nullptr: all pixels, in order
    const int64_t* columns;
    Store type;
    bool splat;  // one channel for all
};

struct Instruction {
    Code code;
    uint8_t dst, a, b;
    int32_t shift, lo, hi;
    int32_t operand;          // of Load and Store: index of the operand
    const int32_t* constants; // of Const, AddConst, MulConst (channels padded to kLanes) and Lut
};

// The pixels of a tile.
struct Pixels {
    int rows;
    int32_t n[kMaxTileRows], y[kMaxTileRows], x[kMaxTileRows];
};

struct Program {
    const Instruction* code;
    int length;
    const Operand* operands;
};

// --- fused endings ---------------------------------------------------------------------------------------

// v = clip((v * multiplier[c] + addend[c]) >> shift, lo, hi). The addend holds the rounding of the shift; the planner
// proves that nothing leaves int32.
struct Affine {
    const int32_t* multiplier;  // nullptr: 1
    const int32_t* addend;      // nullptr: 0
    int32_t shift, lo, hi;

    Affine from(int64_t channel) const {
        return {multiplier ? multiplier + channel : nullptr, addend ? addend + channel : nullptr, shift, lo, hi};
    }
};

// What the planner proves of a residual block's end, for kernels that compute on int16.
struct Words {
    bool enough = false;          // saturating every step to int16 changes nothing; residual and wide are int16
    int16_t multiplier = 0;       // not 0: second(v) is ((v * multiplier + 2^14) >> 15) + offset before its clip
    int16_t offset = 0;
};

// The end of a residual block: v = first(acc); v = clip(v + residual, lo, hi); stored as it is where `wide` is given;
// second(v) stored as U8 where `narrow` is given. Any of the three tensors may be absent (nullptr).
struct Joint {
    Affine first, second;
    int32_t lo, hi;
    Store residual_type, wide_type;
    Words words;

    Joint from(int64_t channel) const {
        return {first.from(channel), second.from(channel), lo, hi, residual_type, wide_type, words};
    }
};

// Between two pixels: v = clip(low + ((clip(high - low, lo, hi) * weight + half) >> shift), least, most), stored as it is or as
// post(v) where that has constants. Both pixels are U8 or I16.
struct Blend {
    Store from, to;
    int32_t lo, hi, half, shift, least, most;
    Affine post;  // with both constants or none
};

// A row of them. Pixel x is at low + low_at[x], or at low + x * step where there is no such table; high likewise.
struct BlendRow {
    const uint8_t *low, *high;
    const int64_t *low_at, *high_at;
    int64_t low_step, high_step;
    const int32_t* weights;  // of pixel x at weights[x * weight_step]
    int64_t weight_step;
    uint8_t* out;
    int64_t out_step;        // bytes between pixels
    int64_t width, channels; // channels are a multiple of Tile::lanes
};

struct JointRows {
    const uint8_t* const* residual;
    uint8_t* const* wide;
    uint8_t* const* narrow;
};

// Sixteen bytes of a tap of the input, put in another order: byte i is the one at index[i], or zero where that is 128.
struct Fetch {
    uint8_t index[16];
    int32_t tap, first;  // where in the input: bytes first .. first + 15 of this tap
    int32_t bytes;       // how many are made, a multiple of 4
};

// --- the table ------------------------------------------------------------------------------------------

// A convolution as a product of pixels and taps: acc[r][o] = init[o] + sum over taps t, steps s, bytes j of
// (pixels[r][first_input + tap_offsets[t] + depth s + j] - 128 + offset) * weights[t][s][o][j].
// Results belong to channels from `channel` on of the pixels whose addresses are given with the tile.
struct ConvTile {
    const uint8_t* const* pixels;
    int rows;                    // <= Tile::rows
    int64_t first_input, channel;
    const int64_t* tap_offsets;
    int taps, steps;
    const int8_t* weights;       // [taps][steps][blocks * lanes][depth]
    int blocks;                  // as many as the channels need, at most width / lanes
    const int32_t* init;         // [blocks * lanes]
    const int8_t* ahead;         // the weights of the next tile, to be fetched meanwhile
    const Fetch* fetches;        // where Tile::paired: what takes the place of all steps of all taps, one after another
    int fetch_count;
};

// Depthwise: acc[r][c] = init[c] + sum over taps t of (pixels[r][channel + tap_offsets[t] + c] - 128 + offset) *
// weights[t / Tile::taps][c][t % Tile::taps], for the channels of a tile.
struct DepthwiseTile {
    const uint8_t* const* pixels;
    int rows;
    int64_t channel;
    const int64_t* tap_offsets;  // [steps * Tile::taps]
    int steps;
    const int8_t* weights;       // [steps][width][kDepthwiseBytes]
    const int32_t* init;         // [width]
    int blocks;                  // how many blocks of channels exist
};

struct Kernels {
    const char* name;
    Tile tile;
    // Results as int32, rows of Tile::width.
    void (*conv)(const ConvTile& tile, int32_t* acc);
    void (*depthwise)(const DepthwiseTile& tile, int32_t* acc);
    // Results through an affine function, stored as U8 at out[row]. lo and hi are within -128..127.
    void (*conv_u8)(const ConvTile& tile, const Affine& post, uint8_t* const* out);
    void (*depthwise_u8)(const DepthwiseTile& tile, const Affine& post, uint8_t* const* out);
    // Results through the end of a residual block.
    void (*conv_joint)(const ConvTile& tile, const Joint& post, const JointRows& rows);
    // Runs a program on registers[kMaxRegisters][Tile::rows][Tile::width] for `width` channels from `channel` on.
    void (*program)(const Program& program, const Pixels& pixels, int channel, int width, int32_t* registers);
    void (*blend)(const Blend& blend, const BlendRow& row);
    // out[c] = max over pointers[i][c]; channels are a multiple of Tile::lanes.
    void (*max_pool)(const uint8_t* const* pointers, int count, int64_t channels, Store type, uint8_t* out);
    // The largest channel of each pixel of a row, pixels `step` bytes apart.
    void (*channel_max)(const uint8_t* from, int64_t step, int64_t width, int64_t channels, Store type, int32_t* out);
    // sums[c] += values of one row of `pixels` pixels, stride in bytes.
    void (*sum)(const uint8_t* first, int64_t pixels, int64_t stride, int64_t channels, Store type, int32_t* sums);
    // Three planes of `width` bytes, one after another, to pixels of three bytes.
    void (*interleave3)(const uint8_t* planes, int64_t width, uint8_t* out);
};

const Kernels* portable_kernels();
const Kernels* avx2_kernels();     // nullptr where the processor or the build lacks the instructions
const Kernels* avxvnni_kernels();
const Kernels* avx512_kernels();
const Kernels* neon_kernels();
const Kernels* dotprod_kernels();
const Kernels* i8mm_kernels();

// The fastest table that this processor runs; CVM_KERNELS=portable or another table's name asks for a slower one. Raises
// Error for a name that no table has.
const Kernels& best_kernels();

}  // namespace cvm
