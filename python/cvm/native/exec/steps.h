// What a plan is made of: steps that run one after another, each split into tasks that run in parallel.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/limits.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "ops/operator.h"

namespace cvm {

// Where a tensor lives: a byte offset in an arena buffer, or in a constant block.
struct Place {
    int buffer = -1;                                        // -1: constant
    int64_t offset = 0;
    std::shared_ptr<const Aligned<uint8_t>> constant;
    int64_t per_task = 0;                                   // bytes: every task of a step has its own
};

// Bytes from the first pixel of a picture to picked ones: rows[y] + columns[x].
struct PickedPixels {
    std::vector<int64_t> rows, columns;
};

// A channel-last tensor: pixel (n, y, x) starts at offset + n * sn + y * sy + x * sx (bytes), or where picked pixels lie.
struct View {
    Place place;
    int64_t n = 1, c = 1, h = 1, w = 1;
    int64_t sn = 0, sy = 0, sx = 0;
    Store type = Store::I32;
    bool splat = false;
    std::shared_ptr<const PickedPixels> picked;  // only of what programs and copies read; nullptr: all, in order

    int64_t pixels() const { return n * h * w; }
};

// A row-major int32 tensor.
struct Plain {
    Place place;
    Shape shape;
};

// One call of a model: its memory and the caller's tensors.
struct Call {
    uint8_t* arena = nullptr;
    const int64_t* buffers = nullptr;  // offset of each buffer in the arena
    const void* input = nullptr;
    bool input_is_int8 = false;
    void* const* outputs = nullptr;
    const Watch* watch = nullptr;      // nullptr: nothing stops the run
    int64_t task = 0;                  // whose parts of places are meant

    uint8_t* at(const Place& place) const {
        return place.buffer < 0 ? const_cast<uint8_t*>(place.constant->data()) + place.offset
                                : arena + buffers[place.buffer] + place.offset + task * place.per_task;
    }
    template <typename T>
    T* at(const Place& place) const { return reinterpret_cast<T*>(at(place)); }
};

// The border that a padded convolution reads around its input, filled with one value.
struct Border {
    View view;  // of the interior
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    uint8_t value = 0;

    void fill(const Call& call, int64_t n) const;
};

class Step {
public:
    virtual ~Step() = default;
    virtual void run(const Call& call, int task) const = 0;
    virtual void touch(std::vector<int>& buffers) const = 0;  // every buffer it reads or writes

    // A buffer that is read and one that is written such that each element is read just before it is written: they
    // may be the same memory. (-1, -1): none.
    virtual std::pair<int, int> in_place() const { return {-1, -1}; }

    // All tasks: those of the step itself, then one per border and batch item.
    int total_tasks() const;
    void run_any(const Call& call, int task) const;

    int tasks = 1;
    bool any_order = true;  // false: each task fetches what the next one reads
    std::vector<Border> borders;  // of the tensors that this step is the first to write
    std::string title;   // for the plan's report
    std::string finish;  // how a convolution finishes: "u8", "joint" or "program"
    int64_t macs = 0;
    int64_t weight_bytes = 0;  // packed
};

// A program over the pixels of a tile, with its operands as places.
struct Epilogue {
    std::vector<Instruction> code;
    std::vector<View> operands;
    std::vector<std::shared_ptr<const Aligned<int32_t>>> constants;  // what the code points into
    int input = 0;                                                        // register of the anchor's result

    void touch(std::vector<int>& buffers) const;
};

// What follows a convolution: one of the fused endings where it has their form, else a program.
struct Ending {
    enum class Kind { Program, U8, Joint };
    Kind kind = Kind::Program;
    Joint joint{};                        // U8: only `first`
    bool has_residual = false, has_wide = false, has_narrow = false;
    View residual, wide, narrow;          // U8: only `narrow`
    Epilogue epilogue;                    // of Program; keeps the constants of all

    void touch(std::vector<int>& buffers) const;
};

// A rectangle of a convolution's result whose sums begin alike.
struct Part {
    int64_t y, x, h, w;
    int64_t init;            // where its values are in the step's `init`
};

// A convolution or dense layer as blocks of output channels over tiles of pixels.
class ConvStep : public Step {
public:
    struct Block {
        int64_t channel;         // first output channel
        int blocks;              // of 16 channels
        int64_t weights;         // byte offset in the packed weights
        int64_t input_channel;   // first input channel (groups)
        int64_t first_fetch = 0; // where Tile::paired
        int fetches = 0;
    };

    const Kernels* kernels = nullptr;
    View in;                     // of the window of output pixel (0, 0)'s first tap
    int64_t out_n = 1, out_h = 1, out_w = 1;
    int64_t step_y = 0, step_x = 0;   // bytes between windows
    std::vector<int64_t> taps;
    int steps = 0;
    std::shared_ptr<const Aligned<int8_t>> weights;
    Aligned<int32_t> init;   // what sums begin with: of every part, per output channel (padded)
    std::vector<Part> parts; // of all pixels
    std::vector<Block> blocks;
    std::shared_ptr<const std::vector<Fetch>> fetches;  // of the blocks
    int64_t row_chunks = 1, block_chunk = 0, block_chunks = 1;
    bool many_weights = false;   // a task's weights do not stay in the cache beside its pixels

    Ending ending;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
    std::pair<int, int> in_place() const override;
};

class DepthwiseStep : public Step {
public:
    const Kernels* kernels = nullptr;
    View in;
    int64_t out_n = 1, out_h = 1, out_w = 1;
    int64_t step_y = 0, step_x = 0;
    std::vector<int64_t> taps;   // padded to whole steps
    std::shared_ptr<const Aligned<int8_t>> weights;
    Aligned<int32_t> init;
    std::vector<Part> parts;
    int64_t channels = 0, row_chunk = 0;

    Ending ending;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// A program alone.
class ProgramStep : public Step {
public:
    const Kernels* kernels = nullptr;
    int64_t n = 1, c = 1, h = 1, w = 1;
    int64_t row_chunk = 0;
    bool flat = false;           // of one channel without padding: a task is a row, whose pixels are taken for channels
    Epilogue epilogue;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override { epilogue.touch(buffers); }
};

class PoolStep : public Step {
public:
    const Kernels* kernels = nullptr;
    View in, out;
    int64_t pool_y = 1, pool_x = 1, stride_y = 1, stride_x = 1, pad_y = 0, pad_x = 0;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// Sum over height and width, followed by a program.
class SumStep : public Step {
public:
    const Kernels* kernels = nullptr;
    View in;
    Epilogue epilogue;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// The largest channel of every pixel.
class ChannelMaxStep : public Step {
public:
    const Kernels* kernels = nullptr;
    View in, out;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// Copies pixels, with conversion of the type.
class CopyStep : public Step {
public:
    View in, out;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// Channels to pixels: channel c of pixel (y, x) is channel c * channel + y % rows * row + x % columns * column of pixel
// (y / rows, x / columns).
class InterleaveStep : public Step {
public:
    View in, out;
    int64_t rows = 1, columns = 1;
    int64_t channel = 1, row = 1, column = 1;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// The caller's row-major tensor, clipped to its precision.
class InputStep : public Step {
public:
    const Kernels* kernels = nullptr;
    int32_t limit = 0;
    std::vector<View> views;
    std::vector<Plain> plains;
    int64_t n = 1, c = 1, h = 1, w = 1;
    int64_t rows_per_task = 1;
    Place scratch;               // of views: room for one row of all channels, for each task

    int64_t scratch_bytes() const { return round_up(c * w * 4, 64); }  // of one task
    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// Channel-last to row-major.
class ToPlainStep : public Step {
public:
    View in;
    Plain out;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

class FromPlainStep : public Step {
public:
    Plain in;
    View out;
    int64_t rows_per_task = 1;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// Any operator, by its scalar definition.
class ReferenceStep : public Step {
public:
    const Operator* op = nullptr;
    Attrs attrs;
    std::vector<Plain> in, out;

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

// A head, into the caller's memory.
class OutputStep : public Step {
public:
    bool from_view = false, as_int8 = false;
    View view;
    Plain plain;
    int index = 0;
    int64_t rows_per_task = 1;   // of the view; values of the tensor

    void run(const Call& call, int task) const override;
    void touch(std::vector<int>& buffers) const override;
};

}  // namespace cvm
