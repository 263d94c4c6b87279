// Constants of a graph: the parameters and everything that depends on parameters alone.
#pragma once

#include <map>
#include <memory>

#include "graph/graph.h"

namespace cvm {

class Constants {
public:
    // Evaluates the constant subgraphs, except results much larger than what they are made of.
    explicit Constants(const Graph& graph);

    // nullptr where the entry depends on the input.
    const Tensor* find(Entry entry) const;

private:
    std::map<Entry, std::shared_ptr<const Tensor>> values_;
};

// The values of a tensor as int32.
std::vector<int32_t> widen(const Tensor& tensor);

}  // namespace cvm
