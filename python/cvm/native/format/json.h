// A small strict JSON reader (RFC 8259): whole numbers only, no comments, no trailing commas, no duplicate keys, bounded
// size and nesting. Values lie on one tape, 16 bytes each, so that a document never takes many times its length.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cvm {

constexpr size_t kMaxJsonBytes = size_t(1) << 26;
// Most commas and opening brackets of a document: a bound of its values, and so of the memory that they take.
constexpr size_t kMaxJsonMarks = size_t(1) << 23;

// One value of a document: valid as long as the document and the text that it was made from.
class Json {
public:
    enum class Kind : uint32_t { Null, Bool, Integer, String, EscapedString, Array, Object };
    struct Cell {
        Kind kind = Kind::Null;
        uint32_t next = 0;  // the cell after this value and all that is in it
        uint32_t at = 0;    // strings: where the bytes begin
        uint32_t size = 0;  // strings: bytes; containers: items or members
    };
    struct Tape {
        std::string_view text;
        std::string unescaped;  // strings that differ from how they are written
        std::vector<Cell> cells;
    };
    class Iterator {
    public:
        Iterator(const Tape* tape, uint32_t at, uint32_t left) : tape_(tape), at_(at), left_(left) {}
        Json operator*() const { return Json(tape_, at_); }
        Iterator& operator++() {
            at_ = tape_->cells[at_].next;
            --left_;
            return *this;
        }
        bool operator!=(const Iterator& other) const { return left_ != other.left_; }

    private:
        const Tape* tape_;
        uint32_t at_, left_;
    };
    // The values of an array; of an object keys and values in turn.
    struct Items {
        const Tape* tape;
        uint32_t first, count;
        Iterator begin() const { return {tape, first, count}; }
        Iterator end() const { return {tape, first, 0}; }
        size_t size() const { return count; }
        bool empty() const { return count == 0; }
    };

    Json(const Tape* tape, uint32_t at) : tape_(tape), at_(at) {}

    // Typed access; throws Error "<what> must be a ..." when the kind differs.
    Items as_array(const char* what) const;
    Items as_object(const char* what) const;
    std::string_view as_string(const char* what) const;
    int64_t as_integer(const char* what) const;

private:
    const Cell& cell() const { return tape_->cells[at_]; }

    const Tape* tape_;
    uint32_t at_;
};

class JsonDocument {
public:
    // Throws Error with the byte position of the first fault. The text must outlive the document.
    explicit JsonDocument(std::string_view text);
    Json root() const { return Json(&tape_, 0); }

private:
    Json::Tape tape_;
};

}  // namespace cvm
