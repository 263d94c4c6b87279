// Reader of the symbol JSON (section 1 of the format) and binder of symbol and params.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace cvm {

// The graph with its constants: attributes parsed, shapes and precisions inferred and compared with the
// stored ones. Throws Error for everything that the format forbids.
Graph read_graph(std::string_view symbol, std::map<std::string, std::shared_ptr<const Tensor>> params);

}  // namespace cvm
