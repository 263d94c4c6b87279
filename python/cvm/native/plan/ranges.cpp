#include "plan/ranges.h"

#include <algorithm>

#include "ops/operator.h"

namespace cvm {

Ranges infer_ranges(const Graph& graph, const Constants& constants, const std::vector<std::vector<Shape>>& shapes,
                    Share& share, const Watch* watch) {
    Ranges ranges;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (watch) watch->check();
        std::vector<Known> in;
        for (Entry input : node.inputs)
            in.push_back({shapes[size_t(input.node)][size_t(input.index)], constants.find(input),
                          &ranges[size_t(input.node)][size_t(input.index)]});
        std::vector<Range> own;
        for (size_t k = 0; k < node.precisions.size(); ++k) {
            const int64_t limit = magnitude(node.precisions[k]);
            // Constants are read where they are used.
            const bool given = node.op == Op::Variable || constants.knows({int(i), int(k)});
            Range r = given ? whole(-limit, limit) : operator_of(node.op).range(node.attrs, in, shapes[i][k]);
            for (int64_t& v : r.lo) v = std::clamp(v, -limit, limit);  // the inferred precision is a bound as well
            for (int64_t& v : r.hi) v = std::clamp(v, -limit, limit);
            share.take(int64_t(r.lo.size() * 2 * sizeof(int64_t)), "a range per channel");
            own.push_back(std::move(r));
        }
        ranges.push_back(std::move(own));
    }
    return ranges;
}

}  // namespace cvm
