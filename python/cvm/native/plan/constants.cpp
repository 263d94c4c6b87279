#include "plan/constants.h"

#include <algorithm>

#include "ops/reference.h"

namespace cvm {
namespace {

constexpr int64_t kSmall = int64_t(1) << 20;  // elements that are always worth folding

}  // namespace

std::vector<int32_t> widen(const Tensor& tensor) {
    return tensor.narrow.empty() ? tensor.wide : std::vector<int32_t>(tensor.narrow.begin(), tensor.narrow.end());
}

Constants::Constants(const Graph& graph) {
    std::map<Entry, int> last_use;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
        for (Entry input : graph.nodes[i].inputs) last_use[input] = int(i);
    for (Entry head : graph.heads) last_use[head] = int(graph.nodes.size());
    for (const auto& [id, tensor] : graph.constants) values_[{id, 0}] = tensor;
    for (const auto& [entry, tensor] : values_) known_.insert(entry);

    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (node.op == Op::Variable) continue;
        int64_t read = 0, written = 0;
        bool constant = true;
        for (Entry input : node.inputs) {
            const Tensor* tensor = find(input);
            constant = constant && tensor;
            if (tensor) read += tensor->size();
        }
        for (const Shape& shape : node.shapes) written += elements(shape);
        if (!constant || written > std::max(kSmall, 2 * read)) continue;
        std::vector<std::vector<int32_t>> wide;
        std::vector<In> in;
        for (Entry input : node.inputs) wide.push_back(widen(*find(input)));
        for (size_t k = 0; k < wide.size(); ++k) in.push_back({wide[k].data(), find(node.inputs[k])->shape});
        std::vector<std::shared_ptr<Tensor>> results;
        std::vector<Out> out;
        for (const Shape& shape : node.shapes) {
            auto tensor = std::make_shared<Tensor>();
            tensor->shape = shape;
            tensor->wide.resize(size_t(elements(shape)));
            out.push_back({tensor->wide.data(), tensor->shape});
            results.push_back(std::move(tensor));
        }
        evaluate(node.op, node.attrs, in, out);
        for (size_t k = 0; k < results.size(); ++k) {
            values_[{int(i), int(k)}] = results[k];
            known_.insert({int(i), int(k)});
        }
        // What no later node reads is dropped, so that a chain of constants holds one link at a time.
        for (Entry input : node.inputs)
            if (last_use[input] == int(i) && graph.nodes[size_t(input.node)].op != Op::Variable) values_.erase(input);
    }
}

const Tensor* Constants::find(Entry entry) const {
    const auto found = values_.find(entry);
    return found == values_.end() ? nullptr : found->second.get();
}

}  // namespace cvm
