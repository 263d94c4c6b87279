#include "plan/constants.h"

#include <algorithm>

#include "ops/infer.h"

namespace cvm {
namespace {

constexpr int64_t kSmall = int64_t(1) << 20;    // elements that are always worth folding
constexpr int64_t kMostWork = int64_t(1) << 31;  // operations at load, about a second's

}  // namespace

std::vector<int32_t> widen(const Tensor& tensor) {
    return tensor.narrow.empty() ? tensor.wide : std::vector<int32_t>(tensor.narrow.begin(), tensor.narrow.end());
}

Constants::Constants(const Graph& graph, Memory& memory) : memory_(memory) {
    std::map<Entry, int> last_use;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
        for (Entry input : graph.nodes[i].inputs) last_use[input] = int(i);
    for (Entry head : graph.heads) last_use[head] = int(graph.nodes.size());
    for (const auto& [id, tensor] : graph.constants) {
        values_.emplace(Entry{id, 0}, Value{tensor, Share(memory)});  // the graph's own memory
        known_.insert({id, 0});
        parameters_ += tensor->size();
    }
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (node.op == Op::Variable || !worth_folding(graph, node)) continue;
        fold(graph, int(i));
        // What no later node reads is dropped, so that a chain of constants holds one link at a time.
        for (Entry input : node.inputs)
            if (last_use[input] == int(i) && graph.nodes[size_t(input.node)].op != Op::Variable) values_.erase(input);
    }
}

// Not suppression: its work is not in its charge.
bool Constants::worth_folding(const Graph& graph, const Node& node) const {
    if (!operator_of(node.op).charged_in_full) return false;
    std::vector<Shape> shapes;
    for (Entry input : node.inputs) {
        if (!find(input)) return false;
        shapes.push_back(graph.shape(input));
    }
    int64_t written = 0;
    for (const Shape& shape : node.shapes) written += elements(shape);
    if (written > std::max(kSmall, 2 * parameters_)) return false;
    return charge(node, shapes, node.shapes[0]) * elements(node.shapes[0]) <= kMostWork - work_;
}

void Constants::fold(const Graph& graph, int id) {
    const Node& node = graph.nodes[size_t(id)];
    Share inputs(memory_);
    std::vector<std::vector<int32_t>> wide;
    std::vector<In> in;
    std::vector<Shape> shapes;
    for (Entry input : node.inputs) {
        inputs.take(find(input)->size() * 4, "a constant");
        wide.push_back(widen(*find(input)));
        shapes.push_back(graph.shape(input));
    }
    for (size_t k = 0; k < wide.size(); ++k) in.push_back({wide[k].data(), find(node.inputs[k])->shape});
    std::vector<Value> results;
    std::vector<Out> out;
    for (const Shape& shape : node.shapes) {
        Share share(memory_);
        share.take(elements(shape) * 4, "a constant");
        auto tensor = std::make_shared<Tensor>();
        tensor->shape = shape;
        tensor->wide.resize(size_t(elements(shape)));
        out.push_back({tensor->wide.data(), tensor->shape});
        results.push_back({std::move(tensor), std::move(share)});
    }
    Meter unlimited(nullptr);  // the work is bounded above
    operator_of(node.op).evaluate(node.attrs, in, out, unlimited);
    work_ += charge(node, shapes, node.shapes[0]) * elements(node.shapes[0]);
    for (size_t k = 0; k < results.size(); ++k) {
        const Entry entry{id, int(k)};
        values_.emplace(entry, std::move(results[k]));
        known_.insert(entry);
    }
}

const Tensor* Constants::find(Entry entry) const {
    const auto found = values_.find(entry);
    return found == values_.end() ? nullptr : found->second.tensor.get();
}

}  // namespace cvm
