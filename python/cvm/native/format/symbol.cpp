#include "format/symbol.h"

#include <algorithm>
#include <set>

#include "format/json.h"
#include "ops/infer.h"

namespace cvm {
namespace {

constexpr int64_t kMaxStorageId = (int64_t(1) << 31) - 1;
constexpr int64_t kUnknownPrecision = -1;
constexpr size_t kMaxName = 4096;

struct Field {
    const char* key;
    std::optional<Json>* value;
    bool required;
};

// Fills the fields of an object; throws Error for one that is missing and for a key that no field has.
void read_fields(Json object, const char* what, std::initializer_list<Field> fields) {
    std::optional<Json>* place = nullptr;
    for (Json item : object.as_object(what)) {
        if (place) {
            *place = item;
            place = nullptr;
            continue;
        }
        const std::string_view key = item.as_string(what);
        for (const Field& field : fields)
            if (key == field.key) place = field.value;
        if (!place) fail(what, ": unknown key '", key.substr(0, 40), "'");
    }
    for (const Field& field : fields)
        if (field.required && !*field.value) fail(what, " has no '", field.key, "'");
}

// The parts of a symbol.
struct Document {
    std::optional<Json> nodes, rows, heads, attrs, arguments, version, postprocess;
    std::optional<Json> types, shapes, storage, precisions, op_attrs, devices;

    explicit Document(Json root) {
        read_fields(root, "symbol",
                    {{"nodes", &nodes, true}, {"node_row_ptr", &rows, true}, {"heads", &heads, true}, {"attrs", &attrs, true},
                     {"arg_nodes", &arguments, false}, {"version", &version, false}, {"postprocess", &postprocess, false}});
        const std::string_view number = version ? version->as_string("symbol: version") : "cvm_1.0.0";
        const bool first = number == "cvm_1.0.0";
        if (!first && number != "cvm_1.1.0") fail("symbol: version must be cvm_1.0.0");
        if (first && !arguments) fail("symbol has no 'arg_nodes'");
        if (postprocess && !postprocess->as_string("symbol: postprocess").empty()) fail("symbol: postprocess is not supported");
        read_fields(*attrs, "symbol: attrs",
                    {{"shape", &shapes, true}, {"storage_id", &storage, true}, {"precision", &precisions, true},
                     {"op_attrs", &op_attrs, true}, {"dltype", &types, first}, {"device_index", &devices, false}});
    }
};

// The payload of an entry of attrs, which must be [tag, [...]] with `size` items.
Json::Items tagged_list(Json entry, const char* what, const char* tag, size_t size) {
    const Json::Items pair = entry.as_array(what);
    Json::Iterator item = pair.begin();
    if (pair.size() != 2 || (*item).as_string(what) != tag) fail(what, " must be [\"", tag, "\", [...]]");
    ++item;
    const Json::Items list = (*item).as_array(what);
    if (list.size() != size) fail(what, " has ", list.size(), " items instead of ", size);
    return list;
}

std::vector<int64_t> integers(Json::Items items, const char* what) {
    std::vector<int64_t> values;
    values.reserve(items.size());
    for (Json item : items) values.push_back(item.as_integer(what));
    return values;
}

// conv2d_12 -> conv2d
std::string_view strip_number(std::string_view name) {
    size_t end = name.size();
    while (end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9') --end;
    return end > 1 && end < name.size() && name[end - 1] == '_' ? name.substr(0, end - 1) : name;
}

Entry read_entry(Json json, const std::vector<Node>& nodes, const char* what) {
    const std::vector<int64_t> values = integers(json.as_array(what), what);
    if (values.size() != 2 && values.size() != 3) fail(what, " must be [node, output] or [node, output, version]");
    const int64_t node = values[0], index = values[1];
    if (values.size() == 3 && values[2] < 0) fail(what, " has a negative version");
    if (node < 0 || node >= int64_t(nodes.size())) fail(what, " refers to node ", node, ", which is not before it");
    if (index < 0 || index >= operator_of(nodes[size_t(node)].op).outputs) fail(what, " refers to output ", index, " of node ", node);
    return {int(node), int(index)};
}

// The attributes of a node as strings. Those of variables, which the reference's compiler writes, say nothing new.
AttributeMap read_op_attrs(std::string_view text) {
    AttributeMap map;
    const JsonDocument document(text);
    std::string key;
    bool is_key = true;
    for (Json item : document.root().as_object("op_attrs")) {
        if (is_key) key = item.as_string("op_attrs");
        else map[key] = item.as_string("an attribute");
        is_key = !is_key;
    }
    return map;
}

void check_variable_name(const std::string& name) {
    if (name.empty() || name.size() > kMaxName ||
        std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) > 127; }))
        fail("a variable's name must be ASCII, of 1 to ", kMaxName, " characters");
}

Node read_node(Json json, const std::vector<Node>& before) {
    std::optional<Json> op, name, attrs, inputs;
    read_fields(json, "the node", {{"op", &op, true}, {"name", &name, true}, {"inputs", &inputs, true}, {"attrs", &attrs, false}});
    Node node;
    node.name = name->as_string("name");
    const std::string_view kind = op->as_string("op");
    if (kind == "null") {
        if (attrs) fail("a variable has no attrs");
        if (!inputs->as_array("inputs").empty()) fail("a variable has no inputs");
        check_variable_name(node.name);
        return node;
    }
    if (kind != "cvm_op") fail("op must be \"null\" or \"cvm_op\"");
    if (!attrs) fail("the node has no 'attrs'");
    std::optional<Json> func, ignored[4];
    read_fields(*attrs, "attrs",
                {{"func_name", &func, true}, {"num_inputs", &ignored[0], false}, {"num_outputs", &ignored[1], false},
                 {"flatten_data", &ignored[2], false}, {"op_attrs", &ignored[3], false}});
    for (const auto& value : ignored)
        if (value) value->as_string("attrs");
    const std::string func_name(strip_number(func->as_string("func_name")));
    const Operator* found = find_operator(func_name);
    if (!found) fail("unknown operator '", func_name.substr(0, 80), "'");
    node.op = found->op;
    for (Json input : inputs->as_array("inputs")) node.inputs.push_back(read_entry(input, before, "inputs"));
    return node;
}

void read_nodes(Json::Items list, Graph& graph) {
    std::set<std::string> variables;
    graph.nodes.reserve(list.size());
    for (Json item : list) {
        const size_t id = graph.nodes.size();
        try {
            Node node = read_node(item, graph.nodes);
            if (node.op == Op::Variable) {
                if (!variables.insert(node.name).second) fail("two variables are called '", node.name, "'");
                if (node.name == "data") graph.data = int(id);
            }
            graph.nodes.push_back(std::move(node));
        } catch (const Error& error) {
            fail("symbol: node ", id, ": ", error.what());
        }
    }
    if (graph.data < 0) fail("symbol: no variable named 'data'");
}

// Infers one operator node from its inputs.
void infer_node(const Graph& graph, Node& node) {
    std::vector<Shape> shapes;
    std::vector<int> precisions;
    for (Entry input : node.inputs) {
        shapes.push_back(graph.shape(input));
        precisions.push_back(graph.precision(input));
    }
    const Operator& op = operator_of(node.op);
    node.shapes = infer_shapes(op, node.attrs, shapes);
    node.precisions = op.precisions(node.attrs, precisions, shapes, node.shapes);
    for (int precision : node.precisions)
        if (precision < 1 || precision > 32) fail("output precision ", precision, " is outside 1..32");
}

std::string describe(const Node& node) { return std::string(operator_of(node.op).name) + " '" + node.name + "'"; }

// Shapes and precisions of every node: a variable's are read, an operator's inferred and compared with what is stored.
void infer_nodes(const Document& document, size_t entries, Graph& graph) {
    const Json::Items shapes = tagged_list(*document.shapes, "symbol: attrs.shape", "list_shape", entries);
    const Json::Items precisions = tagged_list(*document.precisions, "symbol: attrs.precision", "list_int", entries);
    const Json::Items op_attrs = tagged_list(*document.op_attrs, "symbol: attrs.op_attrs", "list_str", graph.nodes.size());
    Json::Iterator shape = shapes.begin(), precision = precisions.begin(), attrs = op_attrs.begin();
    for (size_t i = 0; i < graph.nodes.size(); ++i, ++attrs) {
        Node& node = graph.nodes[i];
        try {
            const AttributeMap map = read_op_attrs((*attrs).as_string("op_attrs"));
            if (node.op != Op::Variable) {
                node.attrs = parse_attributes(operator_of(node.op), map);
                infer_node(graph, node);
            }
            for (int k = 0; k < operator_of(node.op).outputs; ++k, ++shape, ++precision) {
                const Shape stored = integers((*shape).as_array("shape"), "shape");
                check_shape(stored);
                const int64_t bits = (*precision).as_integer("precision");
                const bool unknown = bits == kUnknownPrecision && node.op != Op::Variable;
                if (!unknown && (bits < 1 || bits > 32)) fail("precision ", bits, " is outside 1..32");
                if (node.op == Op::Variable) {
                    node.shapes = {stored};
                    node.precisions = {int(bits)};
                } else if (stored != node.shapes[size_t(k)]) {
                    fail("stored shape ", to_string(stored), " is not the inferred ", to_string(node.shapes[size_t(k)]));
                }
            }
        } catch (const Error& error) {
            fail("symbol: node ", i, " (", describe(node), "): ", error.what());
        }
    }
}

void check_storage(const Graph& graph, const std::vector<int64_t>& storage, const std::vector<size_t>& first_entry) {
    for (int64_t id : storage)
        if (id < 0 || id > kMaxStorageId) fail("symbol: attrs.storage_id: every entry must be in 0..", kMaxStorageId);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (operator_of(node.op).in_place) continue;
        for (size_t out = first_entry[i]; out < first_entry[i + 1]; ++out)
            for (Entry input : node.inputs)
                if (storage[out] == storage[first_entry[size_t(input.node)] + size_t(input.index)])
                    fail("symbol: ", describe(node), " may not write into the storage of its input");
    }
}

// A parameter as the runtime keeps it: int8 up to precision 8, whatever the file holds.
std::shared_ptr<const Tensor> bind(const Node& node, std::shared_ptr<const Tensor> tensor) {
    const int precision = node.precisions[0];
    if (tensor->shape != node.shapes[0])
        fail("params: '", node.name, "' has shape ", to_string(tensor->shape), ", the symbol says ", to_string(node.shapes[0]));
    const int64_t limit = magnitude(precision);
    for (int64_t i = 0, n = tensor->size(); i < n; ++i) {
        const int64_t value = tensor->at(i);
        if (value > limit || value < -limit) fail("params: value ", value, " of '", node.name, "' is beyond precision ", precision);
    }
    if (tensor->narrow.empty() == (precision > 8)) return tensor;
    auto converted = std::make_shared<Tensor>();
    converted->shape = tensor->shape;
    if (precision <= 8) converted->narrow.assign(tensor->wide.begin(), tensor->wide.end());
    else converted->wide.assign(tensor->narrow.begin(), tensor->narrow.end());
    return converted;
}

}  // namespace

Graph read_graph(std::string_view symbol, std::map<std::string, std::shared_ptr<const Tensor>> params) {
    const JsonDocument json(symbol);
    const Document document(json.root());
    Graph graph;
    read_nodes(document.nodes->as_array("symbol: nodes"), graph);

    std::vector<int64_t> variables;
    std::vector<size_t> first_entry{0};
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        if (graph.nodes[i].op == Op::Variable) variables.push_back(int64_t(i));
        first_entry.push_back(first_entry.back() + size_t(operator_of(graph.nodes[i].op).outputs));
    }
    if (document.arguments && integers(document.arguments->as_array("symbol: arg_nodes"), "symbol: arg_nodes") != variables)
        fail("symbol: arg_nodes must list the variables in ascending order");
    const std::vector<int64_t> rows = integers(document.rows->as_array("symbol: node_row_ptr"), "symbol: node_row_ptr");
    if (!std::equal(rows.begin(), rows.end(), first_entry.begin(), first_entry.end(),
                    [](int64_t row, size_t entry) { return row == int64_t(entry); }))
        fail("symbol: node_row_ptr is not the prefix sum of the nodes' outputs");
    for (Json head : document.heads->as_array("symbol: heads"))
        graph.heads.push_back(read_entry(head, graph.nodes, "symbol: heads"));
    if (graph.heads.empty()) fail("symbol: no heads");

    const size_t entries = first_entry.back();
    infer_nodes(document, entries, graph);
    if (document.types)
        for (Json type : tagged_list(*document.types, "symbol: attrs.dltype", "list_str", entries))
            if (type.as_string("symbol: attrs.dltype") != "int32") fail("symbol: attrs.dltype: every entry must be int32");
    if (document.devices) tagged_list(*document.devices, "symbol: attrs.device_index", "list_int", 0);
    const char* what = "symbol: attrs.storage_id";
    check_storage(graph, integers(tagged_list(*document.storage, what, "list_int", entries), what), first_entry);

    for (int64_t id : variables) {
        const Node& node = graph.nodes[size_t(id)];
        if (id == graph.data) continue;
        const auto found = params.find(node.name);
        if (found == params.end()) fail("params: no array for variable '", node.name, "'");
        graph.constants[int(id)] = bind(node, std::move(found->second));
        params.erase(found);
    }
    if (!params.empty()) fail("params: array '", params.begin()->first, "' belongs to no variable");
    return graph;
}

}  // namespace cvm
