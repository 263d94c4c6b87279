// Types shared by every part of the runtime: the error, shapes, and small exact helpers.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace cvm {

// WebAssembly's 32 bits hold what Memory lets a model take, and a module that fails harms nothing around it.
#ifndef __wasm32__
static_assert(sizeof(void*) >= 8, "cvm: the native runtime needs a 64-bit host; use the formal executor (cvm.formal) on this one");
#endif

// A model, file or input that the runtime refuses; the message is one line that says what and where.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A limit was reached: the memory or the operations that a model may take, or the machine's own memory.
struct LimitError : Error {
    using Error::Error;
};

// A run was stopped, by its timeout or by its caller.
struct Cancelled : Error {
    using Error::Error;
};

// Bytes that are not printable ASCII become '?', so that a message is always one line of text.
std::string one_line(std::string message);

// Throws an Error, or the kind of it that is named.
template <typename Kind = Error, typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Kind(one_line(text.str()));
}

using Shape = std::vector<int64_t>;

constexpr int64_t kMaxDims = 6;
constexpr int64_t kMaxDim = int64_t(1) << 24;
constexpr int64_t kMaxElements = int64_t(1) << 30;

// "(1, 3, 8, 8)"
std::string to_string(const Shape& shape);

// Number of elements. The shape must have passed check_shape.
inline int64_t elements(const Shape& shape) {
    int64_t total = 1;
    for (int64_t dim : shape) total *= dim;
    return total;
}

// Throws Error unless the shape has 1-6 dimensions, each 1..2^24, with at most 2^30 elements.
void check_shape(const Shape& shape);

// Largest magnitude of a tensor of the given precision: 2^(p-1) - 1.
inline int64_t magnitude(int precision) { return (int64_t(1) << (precision - 1)) - 1; }

// What int32 makes of a value: the low 32 bits.
inline int32_t wrap(int64_t value) { return int32_t(uint32_t(uint64_t(value))); }

inline int bit_length(uint64_t value) {
    int bits = 0;
    for (; value; value >>= 1) ++bits;
    return bits;
}

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
inline int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace cvm
