// Constants of a graph: the parameters and everything that depends on parameters alone.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "graph/graph.h"

namespace cvm {

class Constants {
public:
    // Evaluates the constant subgraphs, except results much larger than what they are made of.
    explicit Constants(const Graph& graph);

    // The value of a constant entry; nullptr where the entry depends on the input, or nothing after it reads it.
    const Tensor* find(Entry entry) const;

    // Whether the entry was found to be constant, its value kept or not.
    bool knows(Entry entry) const { return known_.count(entry) != 0; }

private:
    std::map<Entry, std::shared_ptr<const Tensor>> values_;
    std::set<Entry> known_;
};

// The values of a tensor as int32.
std::vector<int32_t> widen(const Tensor& tensor);

}  // namespace cvm
