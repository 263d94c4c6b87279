#include "ops/infer.h"

namespace cvm {
namespace {

constexpr int64_t kPerEntry = 5;

int64_t add(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

}  // namespace

Attrs parse_attributes(const Operator& op, const AttributeMap& attributes) {
    AttributeReader read(attributes);
    Attrs attrs;
    op.attributes(read, attrs);
    read.finish();
    return attrs;
}

Shapes infer_shapes(const Operator& op, const Attrs& attrs, const Shapes& in) {
    if (in.size() < op.least || in.size() > op.most)
        fail("expects ", op.least, op.least == op.most ? "" : " or more", " inputs, got ", in.size());
    Shapes out = op.shapes(attrs, in);
    for (const Shape& shape : out) check_shape(shape);
    return out;
}

std::vector<Shapes> infer_all_shapes(const Graph& graph, const Shape& data_shape) {
    std::vector<Shapes> all;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (node.op == Op::Variable) {
            all.push_back(int(i) == graph.data ? Shapes{data_shape} : node.shapes);
            continue;
        }
        const Operator& op = operator_of(node.op);
        Shapes inputs;
        for (Entry input : node.inputs) inputs.push_back(all[size_t(input.node)][size_t(input.index)]);
        try {
            all.push_back(infer_shapes(op, node.attrs, inputs));
        } catch (const Error& error) {
            fail("input of shape ", to_string(data_shape), ": ", op.name, " '", node.name, "': ", error.what());
        }
    }
    return all;
}

int64_t charge(const Node& node, const Shapes& in, const Shape& out) {
    const Operator& op = operator_of(node.op);
    return op.charge ? op.charge(node.attrs, in, out) : 1;
}

int64_t count_operations(const Graph& graph, const std::vector<Shapes>& shapes) {
    int64_t total = 0;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        for (const Shape& shape : shapes[i]) total = add(total, kPerEntry * elements(shape));
        if (node.op == Op::Variable) continue;
        Shapes inputs;
        for (Entry input : node.inputs) inputs.push_back(shapes[size_t(input.node)][size_t(input.index)]);
        // At most 20 * 2^24 or 3 * 2^30 operations for each of 2^30 elements.
        total = add(total, charge(node, inputs, shapes[i][0]) * elements(shapes[i][0]));
    }
    return total;
}

}  // namespace cvm
