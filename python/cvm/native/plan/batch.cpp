#include "plan/batch.h"

#include <algorithm>

#include "ops/operator.h"

namespace cvm {

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
        std::vector<Known> in;
        for (Entry input : node.inputs)
            in.push_back({whole[size_t(input.node)][size_t(input.index)], constants.find(input), nullptr});
        if (!operator_of(node.op).separates(node.attrs, in, whole[i][0])) return false;
    }
    for (Entry head : graph.heads)
        if (constants.find(head)) return false;
    return true;
}

}  // namespace cvm
