// What an operator is: one row of one table (table.cpp) holds everything that the runtime knows of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "ops/attributes.h"
#include "ops/range.h"

namespace cvm {

struct In {
    const int32_t* data;
    const Shape& shape;
};

struct Out {
    int32_t* data;
    const Shape& shape;
};

using Shapes = std::vector<Shape>;
using Precisions = std::vector<int>;
using Inputs = std::vector<In>;
using Outputs = std::vector<Out>;

// Which pixels of a tensor (n, c, h, w) an operator picks: row y and column x of the result are rows[y] and columns[x].
struct Picking {
    std::vector<int32_t> rows, columns;
};

// How the planner runs an operator that is not element-wise.
enum class Form {
    Scalar,  // by its scalar definition, row-major
    Input,
    Reshape,  // no values move
    Transpose,
    Conv, Dense, MaxPool, Sum, Max, Concatenate,
};

// An element-wise operator as an instruction of the kernels.
struct Elementwise {
    Code code;
    int32_t shift = 0;
    int64_t lo = INT32_MIN, hi = INT32_MAX;
    size_t value = 0, table = 1;  // of a look-up: which input is which
};

struct Operator {
    Op op;
    const char* name;  // as the format spells it
    size_t least, most;  // how many inputs it takes

    // Fills the attributes that it has.
    void (*attributes)(AttributeReader& read, Attrs& attrs);
    // Shapes and precisions of its outputs. Throw Error for everything that the format forbids.
    Shapes (*shapes)(const Attrs&, const Shapes& in);
    Precisions (*precisions)(const Attrs&, const Precisions& in, const Shapes& in_shapes, const Shapes& out_shapes);
    // Proven values of its first output.
    Range (*range)(const Attrs&, const std::vector<Known>& in, const Shape& out);
    // Its scalar definition, on row-major tensors: the oracle of the kernels, what folds constants, and what runs wherever no
    // kernel applies. Every loop that can be long reports to the meter, which may throw.
    void (*evaluate)(const Attrs&, const Inputs& in, const Outputs& out, Meter& meter);
    // Whether it treats every index of the first axis alone, given that its inputs that are not constant have the batch there
    // and so has its output.
    bool (*separates)(const Attrs&, const std::vector<Known>& in, const Shape& out);

    Form form = Form::Scalar;
    // nullptr or nothing: it is not element-wise.
    std::optional<Elementwise> (*elementwise)(const Attrs&) = nullptr;
    // nullptr or nothing: it does more than pick pixels of its first input.
    std::optional<Picking> (*picking)(const Attrs&, const std::vector<Known>& in, const Shape& out) = nullptr;
    bool in_place = false;  // the format lets its output lie in the storage of an input
    // What the reference charges for it, per element of its first output; nullptr: 1.
    int64_t (*charge)(const Attrs&, const Shapes& in, const Shape& out) = nullptr;
    bool charged_in_full = true;  // the charge bounds its work
    // Bytes that evaluate() takes for itself beside its inputs and outputs; nullptr: none.
    int64_t (*scratch)(const Shapes& in) = nullptr;
    int outputs = 1;
};

const Operator& operator_of(Op op);

// nullptr for an operator that is not registered. A variable is none.
const Operator* find_operator(const std::string& name);

}  // namespace cvm
