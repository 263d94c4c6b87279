// The C interface: exceptions become return values.
#include <algorithm>
#include <string>

#include "include/cvm.h"
#include "runtime/model.h"

struct cvm_model {
    std::unique_ptr<cvm::Model> model;
};

namespace {

thread_local std::string last_error;

template <typename Result, typename F>
Result guarded(Result failure, F f) {
    try {
        return f();
    } catch (const std::exception& error) {
        last_error = error.what();
    } catch (...) {
        last_error = "unknown error";
    }
    return failure;
}

int copy_shape(const cvm::Shape& shape, int64_t* dims) {
    std::copy(shape.begin(), shape.end(), dims);
    return int(shape.size());
}

}  // namespace

cvm_model* cvm_load(const char* directory, int threads) {
    return guarded<cvm_model*>(nullptr, [&] {
        if (!directory) cvm::fail("no directory given");
        return new cvm_model{cvm::Model::load(directory, threads)};
    });
}

void cvm_free(cvm_model* model) { delete model; }

const char* cvm_last_error(void) { return last_error.c_str(); }

int cvm_input_shape(const cvm_model* model, int64_t* dims) { return copy_shape(model->model->input_shape(), dims); }

int cvm_input_precision(const cvm_model* model) { return model->model->input_precision(); }

int cvm_num_outputs(const cvm_model* model) { return int(model->model->num_outputs()); }

int cvm_outputs_are_int8(const cvm_model* model) { return model->model->outputs_are_int8(); }

int cvm_output_shape(cvm_model* model, int index, int64_t batch, int64_t* dims) {
    return guarded(-1, [&] {
        const auto shapes = model->model->output_shapes(batch);
        if (index < 0 || size_t(index) >= shapes.size()) cvm::fail("the model has no output ", index);
        return copy_shape(shapes[size_t(index)], dims);
    });
}

int cvm_run(cvm_model* model, const void* input, int input_is_int8, int64_t batch, void* const* outputs) {
    return guarded(-1, [&] {
        model->model->run(input, input_is_int8 != 0, batch, outputs);
        return 0;
    });
}
