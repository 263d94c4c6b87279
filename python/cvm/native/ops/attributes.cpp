#include "ops/attributes.h"

#include <cstdlib>

namespace cvm {
namespace {

constexpr int64_t kMaxInt = 2147483647;

std::string strip(const std::string& text) {
    const char* space = " \t\n\r";
    const size_t first = text.find_first_not_of(space);
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(space) - first + 1);
}

[[noreturn]] void malformed(const std::string& name, const std::string& text, const char* why) {
    fail("attribute ", name, "='", text.substr(0, 80), "': ", why);
}

int64_t parse_int(const std::string& name, const std::string& raw) {
    const std::string text = strip(raw);
    const size_t digits = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    const size_t count = text.size() - digits;
    if (count < 1 || count > 10 || text.find_first_not_of("0123456789", digits) != std::string::npos)
        malformed(name, raw, "expected an integer");
    const int64_t value = std::strtoll(text.c_str(), nullptr, 10);
    if (value > kMaxInt || value < -kMaxInt) malformed(name, raw, "integer out of the 32-bit range");
    return value;
}

Shape parse_tuple(const std::string& name, const std::string& raw) {
    const std::string text = strip(raw);
    const size_t digits = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (text.size() > digits && text.find_first_not_of("0123456789", digits) == std::string::npos)
        return {parse_int(name, text)};  // a tuple of one
    if (text.size() < 2 || !((text.front() == '(' && text.back() == ')') || (text.front() == '[' && text.back() == ']')))
        malformed(name, raw, "expected a tuple such as (1, 1)");
    std::string body = strip(text.substr(1, text.size() - 2));
    Shape values;
    if (body.empty()) return values;
    if (body.back() == ',') body.pop_back();
    for (size_t at = 0;;) {
        const size_t comma = body.find(',', at);
        values.push_back(parse_int(name, body.substr(at, comma == std::string::npos ? comma : comma - at)));
        if (comma == std::string::npos) return values;
        at = comma + 1;
    }
}

}  // namespace

int64_t AttributeReader::integer(const std::string& name) { return parse_int(name, required(name)); }

int64_t AttributeReader::integer(const std::string& name, int64_t fallback) {
    const std::string* text = find(name);
    return text ? parse_int(name, *text) : fallback;
}

std::optional<int64_t> AttributeReader::optional_integer(const std::string& name) {
    const std::string* text = find(name);
    if (!text || *text == "None") return std::nullopt;
    return parse_int(name, *text);
}

bool AttributeReader::boolean(const std::string& name, bool fallback) {
    const std::string* text = find(name);
    if (!text) return fallback;
    std::string word = *text;
    for (char& c : word)
        if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
    if (word == "true" || word == "1") return true;
    if (word == "false" || word == "0") return false;
    malformed(name, *text, "expected True, False, 1 or 0");
}

Shape AttributeReader::tuple(const std::string& name) { return parse_tuple(name, required(name)); }

Shape AttributeReader::tuple(const std::string& name, Shape fallback) {
    const std::string* text = find(name);
    return text ? parse_tuple(name, *text) : fallback;
}

void AttributeReader::word(const std::string& name, const std::set<std::string>& allowed) {
    const std::string* text = find(name);
    if (text && !allowed.count(*text)) malformed(name, *text, "not supported");
}

void AttributeReader::finish() const {
    for (const auto& [name, value] : attributes_)
        if (!used_.count(name)) fail("unknown attribute '", name, "'");
}

const std::string* AttributeReader::find(const std::string& name) {
    used_.insert(name);
    const auto found = attributes_.find(name);
    return found == attributes_.end() ? nullptr : &found->second;
}

const std::string& AttributeReader::required(const std::string& name) {
    const std::string* text = find(name);
    if (!text) fail("attribute '", name, "' is missing");
    return *text;
}

}  // namespace cvm
