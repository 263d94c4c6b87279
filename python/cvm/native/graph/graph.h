// The loaded model: operators with typed attributes in topological order, and its constants.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/base.h"

namespace cvm {

enum class Op {
    Variable,
    Conv2d, Dense, MaxPool2d, Upsampling,
    Relu, Abs, Negative, CvmPrecision, Clip, CvmClip, CvmRightShift, CvmLeftShift,
    ElemwiseAdd, ElemwiseSub,
    BroadcastAdd, BroadcastSub, BroadcastMul, BroadcastMax, BroadcastDiv, BroadcastGreater,
    Sum, Max,
    Concatenate, Transpose, Reshape, Squeeze, ExpandDims, Flatten, Repeat, Tile, StridedSlice, SliceLike,
    Take, CvmLut, Where,
    GetValidCounts, NonMaxSuppression,
};

// Attributes of every operator in one record; an operator uses the fields that its own attributes fill.
struct Attrs {
    // conv2d, dense, pooling, upsampling
    int64_t channels = 0, groups = 1, units = 0, scale = 1;
    Shape kernel, strides, padding, dilation;
    bool use_bias = true, ceil_mode = false;
    // element-wise
    int64_t a_min = 0, a_max = 0;
    int precision = 0, shift_bit = 0;
    // reductions and shape operators
    std::optional<int64_t> axis;
    Shape axes, shape, reps, begin, end, stride;
    bool keepdims = false, exclude = false;
    int64_t num_newaxis = 1, repeats = 1, in_dim = 0;
    // detection
    int64_t score_threshold = 0, iou_threshold = 50, top_k = -1, max_output_size = -1;
    bool force_suppress = false;
};

// Entry: one output of one node.
struct Entry {
    int node = 0;
    int index = 0;
    bool operator==(const Entry& other) const { return node == other.node && index == other.index; }
    bool operator<(const Entry& other) const { return node != other.node ? node < other.node : index < other.index; }
};

struct Node {
    Op op = Op::Variable;
    std::string name;
    Attrs attrs;
    std::vector<Entry> inputs;
    std::vector<Shape> shapes;     // one per output, at the batch size that the file stores
    std::vector<int> precisions;   // one per output
};

// A constant tensor, kept as narrow as the file stores it.
struct Tensor {
    Shape shape;
    std::vector<int8_t> narrow;    // precision <= 8
    std::vector<int32_t> wide;     // otherwise

    int64_t size() const { return elements(shape); }
    int32_t at(int64_t i) const { return narrow.empty() ? wide[size_t(i)] : narrow[size_t(i)]; }
};

struct Graph {
    std::vector<Node> nodes;
    std::vector<Entry> heads;
    std::map<int, std::shared_ptr<const Tensor>> constants;  // by node
    int data = -1;                                            // node of the run-time input

    const Shape& shape(Entry e) const { return nodes[size_t(e.node)].shapes[size_t(e.index)]; }
    int precision(Entry e) const { return nodes[size_t(e.node)].precisions[size_t(e.index)]; }
};

}  // namespace cvm
