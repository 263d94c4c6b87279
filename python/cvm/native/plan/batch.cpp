#include "plan/batch.h"

#include <algorithm>

#include "graph/axes.h"

namespace cvm {
namespace {

bool keeps_first_axis(const std::vector<Slice>& slices, int64_t batch) {
    return slices[0].start == 0 && slices[0].step == 1 && slices[0].count == batch;
}

// Whether an operator treats every index of the first axis alone, given that its inputs that are not constant have the
// batch there and so has its output.
bool separates(const Node& node, const Constants& constants, const std::vector<Shape>& in, const std::vector<Shape>& out,
               int64_t batch) {
    const int64_t rank = int64_t(in[0].size());
    const auto constant = [&](size_t i) { return constants.find(node.inputs[i]) != nullptr; };
    switch (node.op) {
        case Op::Conv2d: case Op::Dense:  // the weights must not depend on the input
            return constant(1) && (node.inputs.size() == 2 || constant(2));
        case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::BroadcastAdd: case Op::BroadcastSub: case Op::BroadcastMul:
        case Op::BroadcastMax: case Op::BroadcastDiv: case Op::BroadcastGreater:
            for (size_t i = 0; i < 2; ++i) {
                const bool full = in[i].size() == out[0].size();
                if (constant(i) ? full && in[i][0] != 1 : !full) return false;
            }
            return true;
        case Op::Sum: case Op::Max: return !reduced_axes(node.attrs, rank)[0];
        case Op::Concatenate:
            if (resolve_axis(*node.attrs.axis, rank) == 0) return false;
            for (size_t i = 0; i < in.size(); ++i)
                if (constant(i)) return false;
            return true;
        case Op::Transpose: return permutation(node.attrs, rank)[0] == 0;
        case Op::Repeat: return resolve_axis(*node.attrs.axis, rank) != 0;
        case Op::Tile: return out[0].size() == in[0].size();
        case Op::StridedSlice: return keeps_first_axis(strided_slices(node.attrs, in[0]), batch);
        case Op::SliceLike: return !constant(0) && keeps_first_axis(like_slices(node.attrs, in[0], in[1]), batch);
        case Op::Take:
            if (!node.attrs.axis) return constant(0);
            return !constant(0) && constant(1) && resolve_axis(*node.attrs.axis, rank) != 0;
        case Op::CvmLut: return constant(1) && !constant(0);
        case Op::Where: return !constant(0) && !constant(1) && !constant(2);
        case Op::NonMaxSuppression: return !constant(0) && !constant(1);
        default: return true;  // functions of one tensor; reshapes keep the order, so the first axis as well
    }
}

}  // namespace

bool pictures_are_independent(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& whole,
                              const std::vector<std::vector<Shape>>& one, int64_t batch) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        bool varies = int(i) == graph.data;
        for (Entry input : node.inputs) varies = varies || !constants.knows(input);
        if (!varies) continue;
        for (size_t k = 0; k < whole[i].size(); ++k) {
            const Shape &a = whole[i][k], &b = one[i][k];
            if (a.size() != b.size() || a[0] != batch || b[0] != 1 || !std::equal(a.begin() + 1, a.end(), b.begin() + 1))
                return false;
        }
        if (node.op == Op::Variable) continue;
        std::vector<Shape> in;
        for (Entry input : node.inputs) in.push_back(whole[size_t(input.node)][size_t(input.index)]);
        if (!separates(node, constants, in, whole[i], batch)) return false;
    }
    for (Entry head : graph.heads)
        if (constants.find(head)) return false;
    return true;
}

}  // namespace cvm
