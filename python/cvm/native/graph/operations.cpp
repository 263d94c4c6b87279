#include "graph/operations.h"

namespace cvm {
namespace {

constexpr int64_t kPerEntry = 5;

int64_t add(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

}  // namespace

int64_t charge(const Node& node, const std::vector<Shape>& in, const Shape& out) {
    switch (node.op) {
        case Op::Conv2d: return 3 * (elements(in[1]) / in[1][0]) + node.attrs.use_bias;
        case Op::Dense: return 3 * in[1][1] + node.attrs.use_bias;
        case Op::MaxPool2d: return node.attrs.kernel[0] * node.attrs.kernel[1];
        case Op::Sum: return elements(in[0]) / elements(out);
        case Op::NonMaxSuppression: return 20 * in[0][0];
        default: return 1;
    }
}

int64_t count_operations(const Graph& graph, const std::vector<std::vector<Shape>>& shapes) {
    int64_t total = 0;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        for (const Shape& shape : shapes[i]) total = add(total, kPerEntry * elements(shape));
        if (node.op == Op::Variable) continue;
        std::vector<Shape> inputs;
        for (Entry input : node.inputs) inputs.push_back(shapes[size_t(input.node)][size_t(input.index)]);
        // At most 20 * 2^24 or 3 * 2^30 operations for each of 2^30 elements.
        total = add(total, charge(node, inputs, shapes[i][0]) * elements(shapes[i][0]));
    }
    return total;
}

}  // namespace cvm
