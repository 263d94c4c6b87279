// The report of a plan.
#include <algorithm>

#include "plan/plan.h"

namespace cvm {
namespace {

std::string quote(const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + "\"";
}

std::string list(const Shape& shape) {
    std::string out = "[";
    for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + "]";
}

}  // namespace

std::string describe(const Plan& plan, const Kernels& kernels) {
    std::string out = "{\"kernels\": " + quote(kernels.name) + ", \"input\": " + list(plan.input) +
                      ", \"arena_bytes\": " + std::to_string(plan.arena_bytes) +
                      ", \"constant_bytes\": " + std::to_string(plan.constant_bytes) + ", \"steps\": [";
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const Step& step = *plan.steps[i];
        out += std::string(i ? ", " : "") + "{\"title\": " + quote(step.title) + ", \"macs\": " + std::to_string(step.macs) +
               (step.finish.empty() ? "" : ", \"ending\": " + quote(step.finish)) +
               ", \"tasks\": " + std::to_string(step.tasks) + ", \"weight_bytes\": " + std::to_string(step.weight_bytes);
        std::vector<int> touched;
        step.touch(touched);
        std::sort(touched.begin(), touched.end());
        touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
        int64_t bytes = 0;
        for (int b : touched) bytes += plan.buffer_bytes[size_t(b)];
        out += ", \"tensor_bytes\": " + std::to_string(bytes) + "}";
    }
    return out + "]}";
}

}  // namespace cvm
