#include "format/json.h"

#include <algorithm>
#include <cstring>

#include "base/base.h"

namespace cvm {
namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kMaxDigits = 18;

using Kind = Json::Kind;

class Parser {
public:
    Parser(std::string_view text, Json::Tape& tape) : text_(text), tape_(tape), cells_(tape.cells) {}

    void document() {
        if (text_.size() > kMaxJsonBytes) fail("invalid JSON: ", text_.size(), " bytes, more than ", kMaxJsonBytes);
        size_t marks = 0, keys = 0;
        for (char c : text_) {
            marks += c == ',' || c == '[' || c == '{';
            keys += c == ':';
        }
        if (marks > kMaxJsonMarks) fail("invalid JSON: more than ", kMaxJsonMarks, " values");
        cells_.reserve(1 + marks + std::min(keys, marks));
        check_utf8();
        parse_value(0);
        skip_space();
        if (at_ != text_.size()) error("something follows the JSON document");
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

    // A new cell; what it holds may come later, but the cells behind it belong to it until `close`.
    size_t open(Kind kind) {
        cells_.push_back({kind, 0, 0, 0});
        return cells_.size() - 1;
    }
    void close(size_t cell, size_t at, size_t size) {
        cells_[cell].next = uint32_t(cells_.size());
        cells_[cell].at = uint32_t(at);
        cells_[cell].size = uint32_t(size);
    }

    void parse_value(int depth) {
        if (depth > kMaxDepth) error("nested too deeply");
        skip_space();
        switch (peek()) {
            case '{': return parse_object(depth);
            case '[': return parse_array(depth);
            case '"': return parse_string();
            case 't': literal("true"); return close(open(Kind::Bool), 1, 0);
            case 'f': literal("false"); return close(open(Kind::Bool), 0, 0);
            case 'n': literal("null"); return close(open(Kind::Null), 0, 0);
            default: return parse_integer();
        }
    }

    void parse_object(int depth) {
        const size_t cell = open(Kind::Object);
        ++at_;
        size_t members = 0;
        skip_space();
        if (take('}')) return close(cell, 0, 0);
        do {
            skip_space();
            if (peek() != '"') error("expected a key");
            parse_string();
            skip_space();
            if (!take(':')) error("expected ':'");
            parse_value(depth + 1);
            ++members;
            skip_space();
        } while (take(','));
        if (!take('}')) error("expected ',' or '}'");
        close(cell, 0, 2 * members);
        check_keys(Json(&tape_, uint32_t(cell)));
    }

    void check_keys(Json object) {
        keys_.clear();
        bool key = true;
        for (Json item : object.as_object("")) {
            if (key) keys_.push_back(item.as_string(""));
            key = !key;
        }
        std::sort(keys_.begin(), keys_.end());
        if (std::adjacent_find(keys_.begin(), keys_.end()) != keys_.end()) error("duplicate key");
    }

    void parse_array(int depth) {
        const size_t cell = open(Kind::Array);
        ++at_;
        size_t items = 0;
        skip_space();
        if (take(']')) return close(cell, 0, 0);
        do {
            parse_value(depth + 1);
            ++items;
            skip_space();
        } while (take(','));
        if (!take(']')) error("expected ',' or ']'");
        close(cell, 0, items);
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

    void append_utf8(unsigned code) {
        std::string& out = tape_.unescaped;
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

    // Up to the next quote or backslash.
    void skip_plain() {
        while (peek() != '"' && peek() != '\\') {
            if (static_cast<unsigned char>(text_[at_]) < 0x20) error("control character in a string");
            ++at_;
        }
    }

    void parse_string() {
        const size_t start = ++at_;
        skip_plain();
        if (text_[at_] == '"') {
            close(open(Kind::String), start, at_ - start);
            ++at_;
            return;
        }
        std::string& out = tape_.unescaped;
        const size_t first = out.size();
        out.append(text_.substr(start, at_ - start));
        while (text_[at_] != '"') {
            ++at_;
            parse_escape();
            const size_t plain = at_;
            skip_plain();
            out.append(text_.substr(plain, at_ - plain));
        }
        ++at_;
        close(open(Kind::EscapedString), first, out.size() - first);
    }

    void parse_escape() {
        const char escape = peek();
        ++at_;
        switch (escape) {
            case '"': case '\\': case '/': tape_.unescaped += escape; break;
            case 'b': tape_.unescaped += '\b'; break;
            case 'f': tape_.unescaped += '\f'; break;
            case 'n': tape_.unescaped += '\n'; break;
            case 'r': tape_.unescaped += '\r'; break;
            case 't': tape_.unescaped += '\t'; break;
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
                append_utf8(code);
                break;
            }
            default: error("unknown escape");
        }
    }

    void parse_integer() {
        const bool negative = take('-');
        const size_t first = at_;
        int64_t value = 0;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            if (at_ - first >= kMaxDigits) error("an integer is too large");
            value = 10 * value + (text_[at_] - '0');
        }
        if (at_ == first) error("expected a value");
        if (text_[first] == '0' && at_ - first > 1) error("a number has a leading zero");
        if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) error("not a whole number");
        const uint64_t bits = uint64_t(negative ? -value : value);
        close(open(Kind::Integer), size_t(bits >> 32), size_t(bits & 0xFFFFFFFFu));
    }

    const std::string_view text_;
    Json::Tape& tape_;
    std::vector<Json::Cell>& cells_;
    std::vector<std::string_view> keys_;
    size_t at_ = 0;
};

}  // namespace

JsonDocument::JsonDocument(std::string_view text) {
    tape_.text = text;
    Parser(text, tape_).document();
}

Json::Items Json::as_array(const char* what) const {
    if (cell().kind != Kind::Array) fail(what, " must be a list");
    return {tape_, at_ + 1, cell().size};
}

Json::Items Json::as_object(const char* what) const {
    if (cell().kind != Kind::Object) fail(what, " must be an object");
    return {tape_, at_ + 1, cell().size};
}

std::string_view Json::as_string(const char* what) const {
    if (cell().kind == Kind::String) return tape_->text.substr(cell().at, cell().size);
    if (cell().kind != Kind::EscapedString) fail(what, " must be a string");
    return std::string_view(tape_->unescaped).substr(cell().at, cell().size);
}

int64_t Json::as_integer(const char* what) const {
    if (cell().kind != Kind::Integer) fail(what, " must be an integer");
    return int64_t(uint64_t(cell().at) << 32 | cell().size);
}

}  // namespace cvm
