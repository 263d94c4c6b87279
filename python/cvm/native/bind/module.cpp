// The Python face: a thin layer that checks arrays and releases the interpreter lock while a model runs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind/blocks.h"
#include "exec/threads.h"
#include "model/model.h"

namespace nb = nanobind;

namespace {

using Input = nb::ndarray<nb::device::cpu, nb::c_contig, nb::ro>;

nb::object empty_array(const cvm::Shape& shape, bool narrow, void** data) {
    const size_t bytes = size_t(cvm::elements(shape)) * (narrow ? 1 : 4);
    std::unique_ptr<cvm::Blocks::Block> held = cvm::Blocks::instance().take(bytes);
    uint8_t* memory = held->memory.get();
    nb::capsule owner(held.get(), [](void* block) noexcept {
        cvm::Blocks::instance().give(std::unique_ptr<cvm::Blocks::Block>(static_cast<cvm::Blocks::Block*>(block)));
    });
    held.release();
    *data = memory;
    std::vector<size_t> dims(shape.begin(), shape.end());
    if (narrow) return nb::cast(nb::ndarray<nb::numpy, int8_t>(memory, dims.size(), dims.data(), owner));
    return nb::cast(nb::ndarray<nb::numpy, int32_t>(memory, dims.size(), dims.data(), owner));
}

// Checks the input and hands it with room for the outputs to `f`, without the interpreter lock.
template <typename F>
nb::list with_outputs(cvm::Model& model, const Input& input, F f) {
    const bool is_int8 = input.dtype() == nb::dtype<int8_t>();
    if (!is_int8 && input.dtype() != nb::dtype<int32_t>()) cvm::fail("the input must be int8 or int32");
    const cvm::Shape& expected = model.input_shape();
    bool fits = input.ndim() == expected.size();
    for (size_t i = 1; fits && i < expected.size(); ++i) fits = int64_t(input.shape(i)) == expected[i];
    if (!fits || input.shape(0) == 0) {
        cvm::Shape given;
        for (size_t i = 0; i < input.ndim(); ++i) given.push_back(int64_t(input.shape(i)));
        cvm::fail("the input has shape ", cvm::to_string(given), "; the model takes ", cvm::to_string(expected),
                  " with any first dimension");
    }
    const int64_t batch = int64_t(input.shape(0));
    std::vector<cvm::Shape> shapes;
    {
        nb::gil_scoped_release released;
        shapes = model.output_shapes(batch);
    }
    cvm::Share share(model.memory());  // while the model runs
    for (const cvm::Shape& shape : shapes) share.take(cvm::elements(shape) * (model.outputs_are_int8() ? 1 : 4), "the outputs");
    nb::list results;
    std::vector<void*> outputs(shapes.size());
    for (size_t i = 0; i < shapes.size(); ++i) results.append(empty_array(shapes[i], model.outputs_are_int8(), &outputs[i]));
    {
        nb::gil_scoped_release released;
        f(input.data(), is_int8, batch, outputs.data());
    }
    return results;
}

// Whether a signal's handler raised, such as Ctrl-C's. Called without the interpreter lock.
bool signal_raised() {
    const nb::gil_scoped_acquire held;
    return PyErr_CheckSignals() != 0;
}

// Python runs the handlers of signals on its main thread alone.
bool on_main_thread() {
    const nb::module_ threading = nb::module_::import_("threading");
    return threading.attr("main_thread")().is(threading.attr("current_thread")());
}

// Calls f with a watch that stops at signals, too; what a handler raised goes on to the caller.
template <typename F>
auto interruptible(std::optional<double> timeout, const cvm::Cancel* cancel, F f) {
    const bool main = on_main_thread();
    const cvm::Watch watch(timeout, cancel, main ? signal_raised : nullptr);
    try {
        return f(timeout || cancel || main ? &watch : nullptr);
    } catch (const cvm::Cancelled&) {
        if (PyErr_Occurred()) throw nb::python_error();
        throw;
    }
}

nb::list run(cvm::Model& model, const Input& input, std::optional<double> timeout, const cvm::Cancel* cancel) {
    return interruptible(timeout, cancel, [&](const cvm::Watch* watch) {
        return with_outputs(model, input, [&](auto... arguments) { model.run(arguments..., watch); });
    });
}

std::vector<double> profile(cvm::Model& model, const Input& input) {
    std::vector<double> seconds;
    interruptible(std::nullopt, nullptr, [&](const cvm::Watch* watch) {
        return with_outputs(model, input, [&](auto... arguments) { seconds = model.profile(arguments..., watch); });
    });
    return seconds;
}

}  // namespace

NB_MODULE(_native, m) {
    nb::exception<cvm::Error> error(m, "Error", PyExc_ValueError);
    // Those registered last are tried first.
    nb::exception<cvm::Cancelled>(m, "Cancelled", error.ptr());
    static PyObject* limit_error = nb::exception<cvm::LimitError>(m, "LimitError", error.ptr()).ptr();
    nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::bad_alloc&) {
            PyErr_SetString(limit_error, "out of memory");
        }
    });
    m.def("available_processors", &cvm::available_processors);
    m.def("kernels", []() { return std::string(cvm::best_kernels().name); });
    nb::class_<cvm::Cancel>(m, "Cancel", "Stops the runs that it was given to, from any thread and for good.")
        .def(nb::init<>())
        .def("set", &cvm::Cancel::set, "Stop them.");
    nb::class_<cvm::Model>(m, "Model")
        .def("run", &run, nb::arg("x"), nb::arg("timeout").none(), nb::arg("cancel").none())
        .def("profile", &profile)
        .def_prop_ro("input_shape", [](const cvm::Model& model) { return std::vector<int64_t>(model.input_shape()); })
        .def_prop_ro("input_precision", &cvm::Model::input_precision)
        .def_prop_ro("threads", &cvm::Model::threads)
        .def_prop_ro("kernels", [](const cvm::Model& model) { return std::string(model.kernels()); })
        .def("operations", &cvm::Model::operations, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("output_precisions",
                     [](const cvm::Model& model) {
                         std::vector<int> precisions;
                         for (size_t i = 0; i < model.num_outputs(); ++i) precisions.push_back(model.output_precision(i));
                         return precisions;
                     })
        .def("plan", &cvm::Model::plan_json, nb::call_guard<nb::gil_scoped_release>());
    m.def("load", [](const nb::bytes& symbol, const nb::bytes& params, int threads, std::optional<int64_t> memory,
                     std::optional<int64_t> operations) {
        cvm::Limits limits;
        limits.memory = memory.value_or(limits.memory);
        limits.operations = operations.value_or(limits.operations);
        const std::string_view text(symbol.c_str(), symbol.size());
        nb::gil_scoped_release released;
        return cvm::Model::parse(text, params.c_str(), params.size(), threads, limits);
    }, nb::arg("symbol"), nb::arg("params"), nb::arg("threads"), nb::arg("memory").none(), nb::arg("operations").none());
    m.attr("DEFAULT_MEMORY") = cvm::Limits::kDefaultMemory;
}
