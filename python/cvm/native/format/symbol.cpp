#include "format/symbol.h"

#include <algorithm>
#include <set>

#include "format/json.h"

namespace cvm {
namespace {

// The payload of attrs[key], which must be [tag, [...]] with `size` items.
const std::vector<Json>& tagged_list(const Json& attrs, const char* key, const char* tag, size_t size) {
    const Json* item = attrs.find(key);
    if (!item) fail("symbol: attrs has no '", key, "'");
    const std::string what = std::string("symbol: attrs.") + key;
    const auto& pair = item->as_array(what);
    if (pair.size() != 2 || pair[0].as_string(what) != tag) fail(what, " must be [\"", tag, "\", [...]]");
    const auto& list = pair[1].as_array(what);
    if (list.size() != size) fail(what, " has ", list.size(), " items instead of ", size);
    return list;
}

Shape read_shape(const Json& json, const std::string& what) {
    Shape shape;
    for (const Json& dim : json.as_array(what)) shape.push_back(dim.as_integer(what));
    try {
        check_shape(shape);
    } catch (const Error& error) {
        fail(what, ": ", error.what());
    }
    return shape;
}

// conv2d_12 -> conv2d
std::string strip_number(const std::string& name) {
    size_t end = name.size();
    while (end > 0 && name[end - 1] >= '0' && name[end - 1] <= '9') --end;
    return end > 1 && end < name.size() && name[end - 1] == '_' ? name.substr(0, end - 1) : name;
}

Entry read_entry(const Json& json, const std::vector<Node>& nodes, size_t limit, const std::string& what) {
    const auto& triple = json.as_array(what);
    if (triple.size() != 3) fail(what, " must be [node, output, version]");
    const int64_t node = triple[0].as_integer(what), index = triple[1].as_integer(what);
    if (triple[2].as_integer(what) < 0) fail(what, " has a negative version");
    if (node < 0 || node >= int64_t(limit)) fail(what, " refers to node ", node, ", which is not before it");
    if (index < 0 || index >= num_outputs(nodes[size_t(node)].op)) fail(what, " refers to output ", index, " of node ", node);
    return {int(node), int(index)};
}

void read_nodes(const Json& root, Graph& graph) {
    const Json* list = root.find("nodes");
    if (!list) fail("symbol: no 'nodes'");
    std::set<std::string> variables;
    for (const Json& item : list->as_array("symbol: nodes")) {
        const size_t id = graph.nodes.size();
        const std::string where = "symbol: node " + std::to_string(id);
        const Json *op = nullptr, *name = nullptr, *attrs = nullptr, *inputs = nullptr;
        for (const auto& [key, value] : item.as_object(where)) {
            if (key == "op") op = &value;
            else if (key == "name") name = &value;
            else if (key == "attrs") attrs = &value;
            else if (key == "inputs") inputs = &value;
            else fail(where, ": unknown key '", key, "'");
        }
        if (!op || !name || !inputs) fail(where, " lacks op, name or inputs");
        Node node;
        node.name = name->as_string(where + ".name");
        const std::string& kind = op->as_string(where + ".op");
        if (kind == "null") {
            if (attrs && !attrs->as_object(where + ".attrs").empty()) fail(where, ": a variable has no attrs");
            if (!inputs->as_array(where + ".inputs").empty()) fail(where, ": a variable has no inputs");
            if (node.name.empty() ||
                std::any_of(node.name.begin(), node.name.end(), [](char c) { return static_cast<unsigned char>(c) > 127; }))
                fail(where, ": a variable's name must be ASCII and not empty");
            if (!variables.insert(node.name).second) fail(where, ": two variables are called '", node.name, "'");
            if (node.name == "data") graph.data = int(id);
        } else if (kind == "cvm_op") {
            if (!attrs) fail(where, " lacks attrs");
            const Json* func = nullptr;
            for (const auto& [key, value] : attrs->as_object(where + ".attrs")) {
                value.as_string(where + ".attrs." + key);
                if (key == "func_name") func = &value;
            }
            if (!func) fail(where, ": attrs has no func_name");
            const std::string& func_name = func->string;
            const auto found = find_op(strip_number(func_name));
            if (!found) fail(where, ": unknown operator '", func_name, "'");
            node.op = *found;
            const auto& list_of_inputs = inputs->as_array(where + ".inputs");
            for (const Json& input : list_of_inputs)
                node.inputs.push_back(read_entry(input, graph.nodes, id, where + ".inputs"));
        } else {
            fail(where, ": op must be \"null\" or \"cvm_op\"");
        }
        graph.nodes.push_back(std::move(node));
    }
    if (graph.data < 0) fail("symbol: no variable named 'data'");
}

// Operators whose output may lie in the storage of an input.
bool works_in_place(Op op) {
    switch (op) {
        case Op::Flatten: case Op::Relu: case Op::ExpandDims: case Op::Reshape: case Op::Squeeze: case Op::Abs:
        case Op::CvmPrecision: case Op::ElemwiseAdd: case Op::ElemwiseSub: case Op::Clip: case Op::CvmClip:
        case Op::CvmRightShift: case Op::CvmLeftShift:
            return true;
        default: return false;
    }
}

// Infers one operator node from its inputs.
void infer_node(const Graph& graph, Node& node) {
    std::vector<Shape> shapes;
    std::vector<int> precisions;
    for (Entry input : node.inputs) {
        shapes.push_back(graph.shape(input));
        precisions.push_back(graph.precision(input));
    }
    node.shapes = infer_shapes(node.op, node.attrs, shapes);
    node.precisions = infer_precisions(node.op, node.attrs, precisions, shapes, node.shapes);
    for (int precision : node.precisions)
        if (precision < 1 || precision > 32) fail("output precision ", precision, " is outside 1..32");
}

std::string describe(const Node& node) { return std::string(op_name(node.op)) + " '" + node.name + "'"; }

}  // namespace

Graph read_graph(std::string_view symbol, std::map<std::string, std::shared_ptr<const Tensor>> params) {
    const Json root = Json::parse(symbol);
    static const std::set<std::string> kTopLevel = {"nodes", "arg_nodes", "node_row_ptr", "heads", "attrs", "version", "postprocess"};
    for (const auto& [key, value] : root.as_object("symbol"))
        if (!kTopLevel.count(key)) fail("symbol: unknown key '", key, "'");
    const Json* version = root.find("version");
    if (!version || version->as_string("symbol: version") != "cvm_1.0.0") fail("symbol: version must be cvm_1.0.0");
    if (const Json* post = root.find("postprocess"); post && !post->empty()) fail("symbol: postprocess is not supported");

    Graph graph;
    read_nodes(root, graph);

    const Json* args = root.find("arg_nodes");
    if (!args) fail("symbol: no 'arg_nodes'");
    std::vector<int64_t> variables;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
        if (graph.nodes[i].op == Op::Variable) variables.push_back(int64_t(i));
    std::vector<int64_t> listed;
    for (const Json& id : args->as_array("symbol: arg_nodes")) listed.push_back(id.as_integer("symbol: arg_nodes"));
    if (listed != variables) fail("symbol: arg_nodes must list the variables in ascending order");

    const Json* rows = root.find("node_row_ptr");
    if (!rows) fail("symbol: no 'node_row_ptr'");
    std::vector<size_t> first_entry{0};
    for (const Node& node : graph.nodes) first_entry.push_back(first_entry.back() + size_t(num_outputs(node.op)));
    const auto& row_list = rows->as_array("symbol: node_row_ptr");
    bool rows_match = row_list.size() == first_entry.size();
    for (size_t i = 0; rows_match && i < row_list.size(); ++i)
        rows_match = row_list[i].as_integer("symbol: node_row_ptr") == int64_t(first_entry[i]);
    if (!rows_match) fail("symbol: node_row_ptr is not the prefix sum of the nodes' outputs");
    const size_t entry_count = first_entry.back();

    const Json* heads = root.find("heads");
    if (!heads || heads->as_array("symbol: heads").empty()) fail("symbol: no heads");
    for (const Json& head : heads->array)
        graph.heads.push_back(read_entry(head, graph.nodes, graph.nodes.size(), "symbol: heads"));

    const Json* attrs = root.find("attrs");
    if (!attrs) fail("symbol: no 'attrs'");
    attrs->as_object("symbol: attrs");
    const auto& types = tagged_list(*attrs, "dltype", "list_str", entry_count);
    const auto& shapes = tagged_list(*attrs, "shape", "list_shape", entry_count);
    const auto& storage = tagged_list(*attrs, "storage_id", "list_int", entry_count);
    const auto& precisions = tagged_list(*attrs, "precision", "list_int", entry_count);
    const auto& op_attrs = tagged_list(*attrs, "op_attrs", "list_str", graph.nodes.size());

    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        Node& node = graph.nodes[i];
        const std::string where = "symbol: node " + std::to_string(i) + " (" + describe(node) + ")";
        const std::string& text = op_attrs[i].as_string(where + " op_attrs");
        const size_t entry = first_entry[i];
        if (node.op == Op::Variable) {
            const Json own = Json::parse(text);
            if (!own.as_object(where + " op_attrs").empty()) fail(where, ": a variable has no attributes");
            node.shapes = {read_shape(shapes[entry], where + " shape")};
            const int64_t precision = precisions[entry].as_integer(where + " precision");
            if (precision < 1 || precision > 32) fail(where, ": precision ", precision, " is outside 1..32");
            node.precisions = {int(precision)};
        } else {
            try {
                AttrMap map;
                const Json parsed = Json::parse(text);
                for (const auto& [key, value] : parsed.as_object("op_attrs")) map[key] = value.as_string("attribute " + key);
                node.attrs = parse_attrs(node.op, map);
                infer_node(graph, node);
            } catch (const Error& error) {
                fail(where, ": ", error.what());
            }
        }
        for (size_t j = 0; j < node.shapes.size(); ++j) {
            if (types[entry + j].as_string(where + " dltype") != "int32") fail(where, ": dltype must be int32");
            if (storage[entry + j].as_integer(where + " storage_id") < 0) fail(where, ": negative storage_id");
            precisions[entry + j].as_integer(where + " precision");
            const Shape stored = read_shape(shapes[entry + j], where + " shape");
            if (stored != node.shapes[j])
                fail(where, ": stored shape ", to_string(stored), " is not the inferred ", to_string(node.shapes[j]));
        }
    }

    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (works_in_place(node.op)) continue;
        for (size_t out = first_entry[i]; out < first_entry[i + 1]; ++out)
            for (Entry input : node.inputs)
                if (storage[out].integer == storage[first_entry[size_t(input.node)] + size_t(input.index)].integer)
                    fail("symbol: ", describe(node), " may not write into the storage of its input");
    }

    for (int64_t id : variables) {
        const Node& node = graph.nodes[size_t(id)];
        if (id == graph.data) continue;
        const auto found = params.find(node.name);
        if (found == params.end()) fail("params: no array for variable '", node.name, "'");
        const Tensor& tensor = *found->second;
        const int precision = node.precisions[0];
        if (tensor.shape != node.shapes[0])
            fail("params: '", node.name, "' has shape ", to_string(tensor.shape), ", the symbol says ", to_string(node.shapes[0]));
        if (tensor.narrow.empty() != (precision > 8))
            fail("params: '", node.name, "' of precision ", precision, " must be ", precision > 8 ? "int32" : "int8");
        const int64_t limit = magnitude(precision);
        for (int64_t i = 0, n = tensor.size(); i < n; ++i) {
            const int64_t value = tensor.at(i);
            if (value > limit || value < -limit)
                fail("params: value ", value, " of '", node.name, "' is beyond precision ", precision);
        }
        graph.constants[int(id)] = found->second;
        params.erase(found);
    }
    if (!params.empty()) fail("params: array '", params.begin()->first, "' belongs to no variable");
    return graph;
}

std::vector<std::vector<Shape>> infer_all_shapes(const Graph& graph, const Shape& data_shape) {
    std::vector<std::vector<Shape>> all;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (node.op == Op::Variable) {
            all.push_back(int(i) == graph.data ? std::vector<Shape>{data_shape} : node.shapes);
            continue;
        }
        std::vector<Shape> inputs;
        for (Entry input : node.inputs) inputs.push_back(all[size_t(input.node)][size_t(input.index)]);
        try {
            all.push_back(infer_shapes(node.op, node.attrs, inputs));
        } catch (const Error& error) {
            fail("input of shape ", to_string(data_shape), ": ", describe(node), ": ", error.what());
        }
    }
    return all;
}

}  // namespace cvm
