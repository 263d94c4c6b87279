// Reader of the params file (section 2 of the format).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "graph/graph.h"

namespace cvm {

// Where bytes come from: a file or a block of memory of known size.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    virtual void read(void* into, uint64_t size) = 0;   // throws Error past the end
    virtual uint64_t remaining() const = 0;
    virtual void rewind() = 0;
};

std::unique_ptr<ByteSource> open_file(const std::string& path);
std::unique_ptr<ByteSource> view_memory(const void* data, size_t size);

// Tensors by name. Throws Error for a truncated, oversized or malformed file; memory is only taken for
// bytes that the source really holds.
std::map<std::string, std::shared_ptr<const Tensor>> read_params(ByteSource& source);

}  // namespace cvm
