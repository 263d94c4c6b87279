#include "format/json.h"

#include <cstdlib>
#include <unordered_set>

#include "base/base.h"

namespace cvm {
namespace {

constexpr int kMaxDepth = 32;

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Json document() {
        check_utf8();
        Json value = parse_value(0);
        skip_space();
        if (at_ != text_.size()) error("something follows the JSON document");
        return value;
    }

private:
    [[noreturn]] void error(const char* what) const { fail("invalid JSON at byte ", at_, ": ", what); }

    void check_utf8() {
        while (at_ < text_.size()) {
            const unsigned lead = byte(at_);
            const size_t more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : (lead & 0xF0) == 0xE0 ? 2 : lead >= 0xF0 && lead < 0xF5 ? 3 : 4;
            if (more == 4) error("not UTF-8");
            for (size_t i = 1; i <= more; ++i)
                if ((byte(at_ + i) & 0xC0) != 0x80) error("not UTF-8");
            // Overlong forms, surrogates and what lies beyond U+10FFFF.
            const unsigned second = byte(at_ + 1);
            if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
                (lead == 0xF4 && second > 0x8F))
                error("not UTF-8");
            at_ += more + 1;
        }
        at_ = 0;
    }

    unsigned byte(size_t at) const { return at < text_.size() ? static_cast<unsigned char>(text_[at]) : 0; }

    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
            ++at_;
    }

    char peek() const {
        if (at_ >= text_.size()) error("unexpected end");
        return text_[at_];
    }

    bool take(char c) {
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    void literal(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) error("unknown literal");
        at_ += word.size();
    }

    Json parse_value(int depth) {
        if (depth > kMaxDepth) error("nested too deeply");
        skip_space();
        Json value;
        switch (peek()) {
            case '{': parse_object(value, depth); break;
            case '[': parse_array(value, depth); break;
            case '"':
                value.kind = Json::Kind::String;
                value.string = parse_string();
                break;
            case 't':
                literal("true");
                value.kind = Json::Kind::Bool;
                value.boolean = true;
                break;
            case 'f':
                literal("false");
                value.kind = Json::Kind::Bool;
                break;
            case 'n': literal("null"); break;
            default: parse_number(value);
        }
        return value;
    }

    void parse_object(Json& value, int depth) {
        value.kind = Json::Kind::Object;
        ++at_;
        skip_space();
        if (take('}')) return;
        std::unordered_set<std::string> seen;
        do {
            skip_space();
            if (peek() != '"') error("expected a key");
            std::string key = parse_string();
            if (!seen.insert(key).second) error("duplicate key");
            skip_space();
            if (!take(':')) error("expected ':'");
            value.object.emplace_back(std::move(key), parse_value(depth + 1));
            skip_space();
        } while (take(','));
        if (!take('}')) error("expected ',' or '}'");
    }

    void parse_array(Json& value, int depth) {
        value.kind = Json::Kind::Array;
        ++at_;
        skip_space();
        if (take(']')) return;
        do {
            value.array.push_back(parse_value(depth + 1));
            skip_space();
        } while (take(','));
        if (!take(']')) error("expected ',' or ']'");
    }

    unsigned hex4() {
        unsigned code = 0;
        for (int i = 0; i < 4; ++i) {
            const char c = peek();
            ++at_;
            code <<= 4;
            if (c >= '0' && c <= '9') code |= unsigned(c - '0');
            else if (c >= 'a' && c <= 'f') code |= unsigned(c - 'a' + 10);
            else if (c >= 'A' && c <= 'F') code |= unsigned(c - 'A' + 10);
            else error("bad \\u escape");
        }
        return code;
    }

    static void append_utf8(std::string& out, unsigned code) {
        if (code < 0x80) {
            out += char(code);
        } else if (code < 0x800) {
            out += char(0xC0 | (code >> 6));
            out += char(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            out += char(0xE0 | (code >> 12));
            out += char(0x80 | ((code >> 6) & 0x3F));
            out += char(0x80 | (code & 0x3F));
        } else {
            out += char(0xF0 | (code >> 18));
            out += char(0x80 | ((code >> 12) & 0x3F));
            out += char(0x80 | ((code >> 6) & 0x3F));
            out += char(0x80 | (code & 0x3F));
        }
    }

    std::string parse_string() {
        ++at_;
        std::string out;
        for (;;) {
            const char c = peek();
            ++at_;
            if (c == '"') return out;
            if (static_cast<unsigned char>(c) < 0x20) error("control character in a string");
            if (c != '\\') {
                out += c;
                continue;
            }
            const char escape = peek();
            ++at_;
            switch (escape) {
                case '"': case '\\': case '/': out += escape; break;
                case 'b': out += '\b'; break;
                case 'f': out += '\f'; break;
                case 'n': out += '\n'; break;
                case 'r': out += '\r'; break;
                case 't': out += '\t'; break;
                case 'u': {
                    unsigned code = hex4();
                    if (code >= 0xD800 && code < 0xDC00) {
                        if (!take('\\') || !take('u')) error("lone surrogate");
                        const unsigned low = hex4();
                        if (low < 0xDC00 || low > 0xDFFF) error("lone surrogate");
                        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    } else if (code >= 0xDC00 && code <= 0xDFFF) {
                        error("lone surrogate");
                    }
                    append_utf8(out, code);
                    break;
                }
                default: error("unknown escape");
            }
        }
    }

    bool digits() {
        const size_t start = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
        return at_ > start;
    }

    void parse_number(Json& value) {
        const size_t start = at_;
        take('-');
        const size_t first = at_;
        if (!digits()) error("expected a value");
        if (text_[first] == '0' && at_ - first > 1) error("a number has a leading zero");
        bool whole = true;
        if (take('.')) {
            whole = false;
            if (!digits()) error("expected digits after '.'");
        }
        if (take('e') || take('E')) {
            whole = false;
            if (!take('+')) take('-');
            if (!digits()) error("expected digits in the exponent");
        }
        const std::string token(text_.substr(start, at_ - start));
        if (whole) {
            if (at_ - first > 18) error("an integer is too large");
            value.kind = Json::Kind::Integer;
            value.integer = std::strtoll(token.c_str(), nullptr, 10);
        } else {
            value.kind = Json::Kind::Real;
            value.real = std::strtod(token.c_str(), nullptr);
        }
    }

    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace

Json Json::parse(std::string_view text) { return Parser(text).document(); }

const Json* Json::find(std::string_view key) const {
    for (const auto& [name, value] : object)
        if (name == key) return &value;
    return nullptr;
}

bool Json::empty() const {
    return !boolean && integer == 0 && real == 0 && string.empty() && array.empty() && object.empty();
}

const std::vector<Json>& Json::as_array(const std::string& what) const {
    if (kind != Kind::Array) fail(what, " must be a list");
    return array;
}

const std::vector<std::pair<std::string, Json>>& Json::as_object(const std::string& what) const {
    if (kind != Kind::Object) fail(what, " must be an object");
    return object;
}

const std::string& Json::as_string(const std::string& what) const {
    if (kind != Kind::String) fail(what, " must be a string");
    return string;
}

int64_t Json::as_integer(const std::string& what) const {
    if (kind != Kind::Integer) fail(what, " must be an integer");
    return integer;
}

}  // namespace cvm
