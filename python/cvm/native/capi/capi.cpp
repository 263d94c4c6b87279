// The C interface: exceptions become return values.
#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "include/cvm.h"
#include "model/model.h"

struct cvm_model {
    std::unique_ptr<cvm::Model> model;
};

struct cvm_cancel {
    cvm::Cancel cancel;
};

namespace {

// A fixed buffer: telling that memory has run out takes none.
thread_local char last_error[512] = "";
thread_local cvm_status last_status = CVM_OK;

void note(cvm_status status, const char* message) {
    last_status = status;
    const size_t length = std::min(std::char_traits<char>::length(message), sizeof(last_error) - 1);
    std::copy_n(message, length, last_error);
    last_error[length] = '\0';
}

// `refusal`: what an ordinary Error means in this call.
template <typename Result, typename F>
Result guarded(Result failure, cvm_status refusal, F f) {
    try {
        return f();
    } catch (const cvm::LimitError& error) {
        note(CVM_LIMIT, error.what());
    } catch (const cvm::Cancelled& error) {
        note(CVM_CANCELLED, error.what());
    } catch (const cvm::Error& error) {
        note(refusal, error.what());
    } catch (const std::bad_alloc&) {
        note(CVM_LIMIT, "out of memory");
    } catch (const std::exception& error) {
        note(CVM_FAILED, error.what());
    } catch (...) {
        note(CVM_FAILED, "unknown error");
    }
    return failure;
}

cvm::Limits limits_of(const cvm_options* options) {
    cvm::Limits limits;
    if (!options) return limits;
    if (options->max_memory < 0 || options->max_operations < 0) cvm::fail("a limit is negative");
    if (options->max_memory) limits.memory = options->max_memory;
    if (options->max_operations) limits.operations = options->max_operations;
    return limits;
}

int copy_shape(const cvm::Shape& shape, int64_t* dims) {
    std::copy(shape.begin(), shape.end(), dims);
    return int(shape.size());
}

template <typename From, typename To>
int64_t quantize(const From* values, int64_t count, double scale, int64_t offset, double limit, To* integers) {
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; ++i) {
        const double steps = std::floor(double(values[i]) / scale + 0.5) - double(offset);
        if (std::isnan(steps)) cvm::fail("value ", i, " is not a number");
        clipped += steps > limit || steps < -limit;
        integers[i] = To(std::clamp(steps, -limit, limit));
    }
    return clipped;
}

template <typename From>
int64_t quantize(const cvm_model* model, const From* values, int64_t count, double scale, int64_t offset, void* integers) {
    return guarded<int64_t>(-1, CVM_BAD_INPUT, [&] {
        if (!values || !integers || count < 0) cvm::fail("no values or no room for the integers");
        if (!(scale > 0) || std::isinf(scale)) cvm::fail("the scale ", scale, " is not a positive number");
        const int precision = model->model->input_precision();
        const double limit = double(cvm::magnitude(precision));
        if (precision <= 8) return quantize(values, count, scale, offset, limit, static_cast<int8_t*>(integers));
        return quantize(values, count, scale, offset, limit, static_cast<int32_t*>(integers));
    });
}

}  // namespace

cvm_model* cvm_load(const char* directory, int threads) {
    const cvm_options options = {threads, 0, 0};
    return cvm_load_with(directory, &options);
}

cvm_model* cvm_load_with(const char* directory, const cvm_options* options) {
    return guarded<cvm_model*>(nullptr, CVM_REFUSED, [&] {
        if (!directory) cvm::fail("no directory given");
        return new cvm_model{cvm::Model::load(directory, options ? options->threads : 0, limits_of(options))};
    });
}

cvm_model* cvm_load_memory(const void* symbol, size_t symbol_size, const void* params, size_t params_size,
                           const cvm_options* options) {
    return guarded<cvm_model*>(nullptr, CVM_REFUSED, [&] {
        if (!symbol || !params) cvm::fail("no symbol or no params given");
        const std::string_view text(static_cast<const char*>(symbol), symbol_size);
        return new cvm_model{cvm::Model::parse(text, params, params_size, options ? options->threads : 0, limits_of(options))};
    });
}

void cvm_free(cvm_model* model) { delete model; }

const char* cvm_sha256(const cvm_model* model) {
    const std::string& sha256 = model->model->sha256();
    return sha256.empty() ? nullptr : sha256.c_str();
}

const char* cvm_kernels(const cvm_model* model) { return model->model->kernels(); }

const char* cvm_last_error(void) { return last_error; }

cvm_status cvm_last_status(void) { return last_status; }

int cvm_input_shape(const cvm_model* model, int64_t* dims) { return copy_shape(model->model->input_shape(), dims); }

int cvm_input_precision(const cvm_model* model) { return model->model->input_precision(); }

int cvm_num_outputs(const cvm_model* model) { return int(model->model->num_outputs()); }

int cvm_outputs_are_int8(const cvm_model* model) { return model->model->outputs_are_int8(); }

int cvm_output_precision(const cvm_model* model, int index) {
    return guarded(-1, CVM_BAD_INPUT, [&] {
        if (index < 0 || size_t(index) >= model->model->num_outputs()) cvm::fail("the model has no output ", index);
        return model->model->output_precision(size_t(index));
    });
}

int cvm_output_shape(cvm_model* model, int index, int64_t batch, int64_t* dims) {
    return guarded(-1, CVM_BAD_INPUT, [&] {
        const auto shapes = model->model->output_shapes(batch);
        if (index < 0 || size_t(index) >= shapes.size()) cvm::fail("the model has no output ", index);
        return copy_shape(shapes[size_t(index)], dims);
    });
}

int64_t cvm_quantize(const cvm_model* model, const float* values, int64_t count, double scale, int64_t offset, void* integers) {
    return quantize(model, values, count, scale, offset, integers);
}

int64_t cvm_quantize_bytes(const cvm_model* model, const uint8_t* values, int64_t count, double scale, int64_t offset,
                           void* integers) {
    return quantize(model, values, count, scale, offset, integers);
}

cvm_status cvm_run(cvm_model* model, const void* input, int input_is_int8, int64_t batch, void* const* outputs) {
    return cvm_run_within(model, input, input_is_int8, batch, outputs, -1, nullptr);
}

cvm_status cvm_run_within(cvm_model* model, const void* input, int input_is_int8, int64_t batch, void* const* outputs,
                          double seconds, const cvm_cancel* cancel) {
    const bool done = guarded(false, CVM_BAD_INPUT, [&] {
        if (!input || !outputs) cvm::fail("no input or no room for the outputs");
        const cvm::Watch watch(seconds < 0 ? std::nullopt : std::optional(seconds), cancel ? &cancel->cancel : nullptr);
        model->model->run(input, input_is_int8 != 0, batch, outputs, seconds < 0 && !cancel ? nullptr : &watch);
        return true;
    });
    return done ? CVM_OK : last_status;
}

cvm_cancel* cvm_cancel_new(void) { return new (std::nothrow) cvm_cancel; }

void cvm_cancel_set(cvm_cancel* cancel) { cancel->cancel.set(); }

void cvm_cancel_free(cvm_cancel* cancel) { delete cancel; }
