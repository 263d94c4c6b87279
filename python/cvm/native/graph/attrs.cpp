// Names of the operators and the grammar of their attribute strings.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "graph/graph.h"

namespace cvm {
namespace {

constexpr int64_t kMaxInt = 2147483647;
constexpr int64_t kMaxWindow = 4096;

const std::vector<std::pair<Op, const char*>>& table() {
    static const std::vector<std::pair<Op, const char*>> names = {
        {Op::Variable, "variable"},
        {Op::Conv2d, "conv2d"},
        {Op::Dense, "dense"},
        {Op::MaxPool2d, "max_pool2d"},
        {Op::Upsampling, "upsampling"},
        {Op::Relu, "relu"},
        {Op::Abs, "abs"},
        {Op::Negative, "negative"},
        {Op::CvmPrecision, "cvm_precision"},
        {Op::Clip, "clip"},
        {Op::CvmClip, "cvm_clip"},
        {Op::CvmRightShift, "cvm_right_shift"},
        {Op::CvmLeftShift, "cvm_left_shift"},
        {Op::ElemwiseAdd, "elemwise_add"},
        {Op::ElemwiseSub, "elemwise_sub"},
        {Op::BroadcastAdd, "broadcast_add"},
        {Op::BroadcastSub, "broadcast_sub"},
        {Op::BroadcastMul, "broadcast_mul"},
        {Op::BroadcastMax, "broadcast_max"},
        {Op::BroadcastDiv, "broadcast_div"},
        {Op::BroadcastGreater, "broadcast_greater"},
        {Op::Sum, "sum"},
        {Op::Max, "max"},
        {Op::Concatenate, "concatenate"},
        {Op::Transpose, "transpose"},
        {Op::Reshape, "reshape"},
        {Op::Squeeze, "squeeze"},
        {Op::ExpandDims, "expand_dims"},
        {Op::Flatten, "flatten"},
        {Op::Repeat, "repeat"},
        {Op::Tile, "tile"},
        {Op::StridedSlice, "strided_slice"},
        {Op::SliceLike, "slice_like"},
        {Op::Take, "take"},
        {Op::CvmLut, "cvm_lut"},
        {Op::Where, "where"},
        {Op::GetValidCounts, "get_valid_counts"},
        {Op::NonMaxSuppression, "non_max_suppression"},
    };
    return names;
}

std::string strip(const std::string& text) {
    const char* space = " \t\n\r";
    const size_t first = text.find_first_not_of(space);
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(space) - first + 1);
}

// Hands out the attributes of one operator by name and type, then refuses what nobody asked for.
class Reader {
public:
    explicit Reader(const AttrMap& attrs) : attrs_(attrs) {}

    int64_t integer(const std::string& name) { return parse_int(name, required(name)); }
    int64_t integer(const std::string& name, int64_t fallback) {
        const std::string* text = find(name);
        return text ? parse_int(name, *text) : fallback;
    }
    std::optional<int64_t> optional_integer(const std::string& name) {
        const std::string* text = find(name);
        if (!text || *text == "None") return std::nullopt;
        return parse_int(name, *text);
    }
    bool boolean(const std::string& name, bool fallback) {
        const std::string* text = find(name);
        if (!text) return fallback;
        std::string word = *text;
        for (char& c : word)
            if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
        if (word == "true" || word == "1") return true;
        if (word == "false" || word == "0") return false;
        malformed(name, *text, "expected True, False, 1 or 0");
    }
    Shape tuple(const std::string& name) { return parse_tuple(name, required(name)); }
    Shape tuple(const std::string& name, Shape fallback) {
        const std::string* text = find(name);
        return text ? parse_tuple(name, *text) : fallback;
    }
    void word(const std::string& name, const std::set<std::string>& allowed) {
        const std::string* text = find(name);
        if (text && !allowed.count(*text)) malformed(name, *text, "not supported");
    }
    void finish() const {
        for (const auto& [name, value] : attrs_)
            if (!used_.count(name)) fail("unknown attribute '", name, "'");
    }

private:
    [[noreturn]] static void malformed(const std::string& name, const std::string& text, const char* why) {
        fail("attribute ", name, "='", text.substr(0, 80), "': ", why);
    }
    const std::string* find(const std::string& name) {
        used_.insert(name);
        const auto found = attrs_.find(name);
        return found == attrs_.end() ? nullptr : &found->second;
    }
    const std::string& required(const std::string& name) {
        const std::string* text = find(name);
        if (!text) fail("attribute '", name, "' is missing");
        return *text;
    }
    static int64_t parse_int(const std::string& name, const std::string& raw) {
        const std::string text = strip(raw);
        const size_t digits = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
        const size_t count = text.size() - digits;
        if (count < 1 || count > 10 || text.find_first_not_of("0123456789", digits) != std::string::npos)
            malformed(name, raw, "expected an integer");
        const int64_t value = std::strtoll(text.c_str(), nullptr, 10);
        if (value > kMaxInt || value < -kMaxInt) malformed(name, raw, "integer out of the 32-bit range");
        return value;
    }
    static Shape parse_tuple(const std::string& name, const std::string& raw) {
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

    const AttrMap& attrs_;
    std::set<std::string> used_;
};

void require(bool condition, const std::string& message) {
    if (!condition) throw Error(message);
}

void within(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) fail("attribute ", name, ": ", value, " is outside [", low, ", ", high, "]");
}

void check_pair(const char* name, const Shape& values, int64_t low) {
    if (values.size() != 2) fail("attribute ", name, " must have two values");
    for (int64_t value : values) within(name, value, low, kMaxWindow);
}

}  // namespace

const char* op_name(Op op) {
    for (const auto& [key, name] : table())
        if (key == op) return name;
    return "?";
}

std::optional<Op> find_op(const std::string& name) {
    for (const auto& [key, known] : table())
        if (key != Op::Variable && name == known) return key;
    return std::nullopt;
}

int num_outputs(Op op) { return op == Op::GetValidCounts ? 2 : 1; }

Attrs parse_attrs(Op op, const AttrMap& attrs) {
    Reader read(attrs);
    Attrs a;
    switch (op) {
        case Op::Conv2d:
            a.channels = read.integer("channels");
            a.kernel = read.tuple("kernel_size");
            a.strides = read.tuple("strides", {1, 1});
            a.padding = read.tuple("padding", {0, 0});
            a.dilation = read.tuple("dilation", {1, 1});
            a.groups = read.integer("groups", 1);
            a.use_bias = read.boolean("use_bias", true);
            read.word("layout", {"NCHW"});
            read.word("kernel_layout", {"OIHW"});
            read.word("out_layout", {"__undef__", "NCHW"});
            read.word("out_dtype", {"same", "int32"});
            require(a.channels >= 1, "attribute channels must be at least 1");
            require(a.groups >= 1, "attribute groups must be at least 1");
            check_pair("kernel_size", a.kernel, 1);
            check_pair("strides", a.strides, 1);
            check_pair("padding", a.padding, 0);
            check_pair("dilation", a.dilation, 1);
            break;
        case Op::Dense:
            a.units = read.integer("units");
            a.use_bias = read.boolean("use_bias", true);
            require(a.units >= 1, "attribute units must be at least 1");
            break;
        case Op::MaxPool2d:
            a.kernel = read.tuple("pool_size");
            a.strides = read.tuple("strides", {1, 1});
            a.padding = read.tuple("padding", {0, 0});
            a.ceil_mode = read.boolean("ceil_mode", false);
            read.word("layout", {"NCHW"});
            check_pair("pool_size", a.kernel, 1);
            check_pair("strides", a.strides, 1);
            if (a.padding.size() == 1) a.padding.push_back(a.padding[0]);
            check_pair("padding", a.padding, 0);
            require(a.padding[0] < a.kernel[0] && a.padding[1] < a.kernel[1], "the padding must be smaller than the pool");
            break;
        case Op::Upsampling:
            a.scale = read.integer("scale");
            read.word("layout", {"NCHW"});
            read.word("method", {"NEAREST_NEIGHBOR"});
            within("scale", a.scale, 1, 4096);
            break;
        case Op::Clip:
            a.a_min = read.integer("a_min");
            a.a_max = read.integer("a_max");
            require(a.a_min < a.a_max, "a_min must be less than a_max");
            break;
        case Op::CvmClip:
        case Op::CvmRightShift:
        case Op::CvmLeftShift: {
            const int64_t precision = read.integer("precision");
            within("precision", precision, 1, 32);
            a.precision = int(precision);
            if (op != Op::CvmClip) {
                const int64_t shift = read.integer("shift_bit");
                within("shift_bit", shift, 1, 32);
                a.shift_bit = int(shift);
            }
            read.boolean("is_sign", true);
            break;
        }
        case Op::Sum:
        case Op::Max:
            a.axes = read.tuple("axis", {});
            a.keepdims = read.boolean("keepdims", false);
            a.exclude = read.boolean("exclude", false);
            read.word("dtype", {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
                                "float32", "float64"});
            break;
        case Op::Concatenate: a.axis = read.integer("axis", 1); break;
        case Op::Transpose: a.axes = read.tuple("axes", {}); break;
        case Op::Reshape:
            a.shape = read.tuple("shape");
            require(!a.shape.empty(), "attribute shape is empty");
            break;
        case Op::Squeeze: a.axes = read.tuple("axis", {}); break;
        case Op::ExpandDims:
            a.axis = read.integer("axis");
            a.num_newaxis = read.integer("num_newaxis", 1);
            within("num_newaxis", a.num_newaxis, 1, kMaxWindow);
            break;
        case Op::Repeat:
            a.repeats = read.integer("repeats");
            a.axis = read.integer("axis", 0);
            require(a.repeats >= 1, "attribute repeats must be at least 1");
            break;
        case Op::Tile:
            a.reps = read.tuple("reps");
            require(!a.reps.empty(), "attribute reps is empty");
            for (int64_t rep : a.reps) within("reps", rep, 1, kMaxWindow);
            break;
        case Op::StridedSlice:
            a.begin = read.tuple("begin");
            a.end = read.tuple("end");
            a.stride = read.tuple("stride", {});
            break;
        case Op::SliceLike: a.axes = read.tuple("axis", {}); break;
        case Op::Take: a.axis = read.optional_integer("axis"); break;
        case Op::CvmLut: a.in_dim = read.integer("in_dim"); break;
        case Op::GetValidCounts: a.score_threshold = read.integer("score_threshold", 0); break;
        case Op::NonMaxSuppression:
            a.iou_threshold = read.integer("iou_threshold", 50);
            a.force_suppress = read.boolean("force_suppress", false);
            a.top_k = read.integer("top_k", -1);
            a.max_output_size = read.integer("max_output_size", -1);
            require(a.iou_threshold > 0, "attribute iou_threshold must be positive");
            require(read.integer("id_index", 0) == 0, "attribute id_index must be 0");
            require(read.integer("score_index", 1) == 1, "attribute score_index must be 1");
            require(read.integer("coord_start", 2) == 2, "attribute coord_start must be 2");
            require(!read.boolean("return_indices", false), "attribute return_indices must be False");
            require(read.boolean("invalid_to_bottom", true), "attribute invalid_to_bottom must be True");
            break;
        default: break;  // no attributes
    }
    read.finish();
    return a;
}

}  // namespace cvm
