// A small strict JSON reader (RFC 8259): no comments, no trailing commas, no duplicate keys, bounded nesting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cvm {

struct Json {
    enum class Kind { Null, Bool, Integer, Real, String, Array, Object };

    Kind kind = Kind::Null;
    bool boolean = false;
    int64_t integer = 0;
    double real = 0;
    std::string string;
    std::vector<Json> array;
    std::vector<std::pair<std::string, Json>> object;  // in file order

    // Throws Error with the byte position of the first fault.
    static Json parse(std::string_view text);

    // Member of an object, or nullptr.
    const Json* find(std::string_view key) const;

    // null, false, 0, "", [] or {}.
    bool empty() const;

    // Typed access; throws Error "<what> must be a ..." when the kind differs.
    const std::vector<Json>& as_array(const std::string& what) const;
    const std::vector<std::pair<std::string, Json>>& as_object(const std::string& what) const;
    const std::string& as_string(const std::string& what) const;
    int64_t as_integer(const std::string& what) const;
};

}  // namespace cvm
