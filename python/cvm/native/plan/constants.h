// Constants of a graph: the parameters and everything that depends on parameters alone.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/limits.h"
#include "graph/graph.h"

namespace cvm {

class Constants {
public:
    // Evaluates the constant subgraphs, except what is much larger than the parameters or much work. The values count as
    // memory; throws LimitError.
    Constants(const Graph& graph, Memory& memory);

    // The value of a constant entry; nullptr where the entry depends on the input, or nothing after it reads it.
    const Tensor* find(Entry entry) const;

    // Whether the entry was found to be constant, its value kept or not.
    bool knows(Entry entry) const { return known_.count(entry) != 0; }

private:
    struct Value {
        std::shared_ptr<const Tensor> tensor;
        Share share;
    };

    bool worth_folding(const Graph& graph, const Node& node) const;
    void fold(const Graph& graph, int id);

    Memory& memory_;
    int64_t parameters_ = 0;  // elements
    int64_t work_ = 0;
    std::map<Entry, Value> values_;
    std::set<Entry> known_;
};

// The values of a tensor as int32.
std::vector<int32_t> widen(const Tensor& tensor);

}  // namespace cvm
