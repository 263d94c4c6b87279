#include "base/base.h"

namespace cvm {

std::string one_line(std::string message) {
    for (char& c : message)
        if (c < 0x20 || c > 0x7e) c = '?';
    return message;
}

std::string to_string(const Shape& shape) {
    std::ostringstream text;
    text << "(";
    for (size_t i = 0; i < shape.size(); ++i) text << (i ? ", " : "") << shape[i];
    text << (shape.size() == 1 ? ",)" : ")");
    return text.str();
}

void check_shape(const Shape& shape) {
    if (shape.empty() || static_cast<int64_t>(shape.size()) > kMaxDims)
        fail("a shape has 1 to ", kMaxDims, " dimensions, not ", shape.size());
    int64_t total = 1;
    for (int64_t dim : shape) {
        if (dim < 1 || dim > kMaxDim) fail("dimension ", dim, " of shape ", to_string(shape), " is outside 1..2^24");
        total *= dim;  // at most 2^30 * 2^24 before the check below
        if (total > kMaxElements) fail("shape ", to_string(shape), " has more than 2^30 elements");
    }
}

}  // namespace cvm
