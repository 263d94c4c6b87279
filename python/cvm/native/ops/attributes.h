// The attributes of an operator as the format writes them: strings by name.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/base.h"

namespace cvm {

using AttributeMap = std::map<std::string, std::string>;

// Hands out the attributes of one operator by name and type, then refuses what nobody asked for. Everything throws Error.
class AttributeReader {
public:
    explicit AttributeReader(const AttributeMap& attributes) : attributes_(attributes) {}

    int64_t integer(const std::string& name);
    int64_t integer(const std::string& name, int64_t fallback);
    std::optional<int64_t> optional_integer(const std::string& name);
    bool boolean(const std::string& name, bool fallback);
    Shape tuple(const std::string& name);
    Shape tuple(const std::string& name, Shape fallback);
    void word(const std::string& name, const std::set<std::string>& allowed);
    void finish() const;

private:
    const std::string* find(const std::string& name);
    const std::string& required(const std::string& name);

    const AttributeMap& attributes_;
    std::set<std::string> used_;
};

// Throws Error with the message unless the condition holds.
template <typename... Parts>
void require(bool condition, const Parts&... message) {
    if (!condition) fail(message...);
}

}  // namespace cvm
