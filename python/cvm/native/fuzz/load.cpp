// libFuzzer target (`make fuzz-native`): the first four bytes are the length of the symbol, which the params follow. What
// loads is planned and run.
#include <cstdint>
#include <cstring>
#include <vector>

#include "model/model.h"

namespace {

// What a model may take here: so little that thousands run in a minute. Operations do not count suppression's comparisons,
// so that a run has a deadline as well.
cvm::Limits limits() {
    cvm::Limits limits;
    limits.memory = int64_t(64) << 20;
    limits.operations = int64_t(1) << 24;
    return limits;
}

constexpr double kSeconds = 0.1;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    uint32_t length = 0;
    if (size < sizeof(length)) return 0;
    std::memcpy(&length, data, sizeof(length));
    data += sizeof(length);
    size -= sizeof(length);
    if (length > size) return 0;
    try {
        const std::string_view symbol(reinterpret_cast<const char*>(data), length);
        const auto model = cvm::Model::parse(symbol, data + length, size - length, 1, limits());
        const std::vector<cvm::Shape> shapes = model->output_shapes(model->input_shape()[0]);
        std::vector<std::vector<int32_t>> outputs;
        std::vector<void*> pointers;
        for (const cvm::Shape& shape : shapes) {
            outputs.emplace_back(size_t(cvm::elements(shape)));
            pointers.push_back(outputs.back().data());
        }
        const std::vector<int32_t> input(size_t(cvm::elements(model->input_shape())), 77);
        const cvm::Watch watch(kSeconds, nullptr);
        model->run(input.data(), false, model->input_shape()[0], pointers.data(), &watch);
    } catch (const cvm::Error&) {
    }
    return 0;
}
