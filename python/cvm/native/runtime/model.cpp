#include "runtime/model.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "format/json.h"
#include "format/params.h"
#include "format/symbol.h"
#include "plan/batch.h"
#include "runtime/threads.h"

namespace cvm {
namespace {

constexpr size_t kMaxPlans = 8;      // batch sizes kept planned
constexpr size_t kMaxBatches = 256;  // batch sizes remembered
constexpr int64_t kCacheBytes = int64_t(2) << 20;

struct FreeAligned {
    void operator()(uint8_t* memory) const { ::operator delete[](memory, std::align_val_t(64)); }
};
using Arena = std::unique_ptr<uint8_t[], FreeAligned>;

std::string read_text(const std::string& path) {
    const auto source = open_file(path);
    if (source->remaining() > kMaxJsonBytes) fail(path, " is larger than ", kMaxJsonBytes, " bytes");
    std::string text(size_t(source->remaining()), '\0');
    source->read(text.data(), text.size());
    return text;
}

}  // namespace

// A plan and the arenas of runs that are not in progress.
struct Model::Prepared {
    std::unique_ptr<Plan> plan;
    std::mutex mutex;
    std::vector<Arena> idle;

    Arena take() {
        {
            const std::lock_guard lock(mutex);
            if (!idle.empty()) {
                Arena arena = std::move(idle.back());
                idle.pop_back();
                return arena;
            }
        }
        return Arena(new (std::align_val_t(64)) uint8_t[size_t(std::max<int64_t>(plan->arena_bytes, 64))]);
    }
    void give_back(Arena arena) noexcept {
        try {
            const std::lock_guard lock(mutex);
            idle.push_back(std::move(arena));
        } catch (const std::bad_alloc&) {  // not kept, then
        }
    }
};

Model::Model(Graph graph, int threads)
    : graph_(std::move(graph)), constants_(graph_), kernels_(best_kernels()),
      threads_(threads > 0 ? std::min(threads, 1024) : available_processors()), packed_(make_pack_cache()) {}

std::unique_ptr<Model> Model::load(const std::string& directory, int threads) {
    const std::string symbol = read_text(directory + "/symbol");
    const auto source = open_file(directory + "/params");
    return std::unique_ptr<Model>(new Model(read_graph(symbol, read_params(*source)), threads));
}

std::unique_ptr<Model> Model::parse(std::string_view symbol, const void* params, size_t size, int threads) {
    const auto source = view_memory(params, size);
    return std::unique_ptr<Model>(new Model(read_graph(symbol, read_params(*source)), threads));
}

bool Model::outputs_are_int8() const {
    return std::all_of(graph_.heads.begin(), graph_.heads.end(), [this](Entry head) { return graph_.precision(head) <= 8; });
}

int64_t Model::largest_tensor() const {
    int64_t most = 0;
    for (const Node& node : graph_.nodes)
        for (const Shape& shape : node.shapes) most = std::max(most, elements(shape));
    return most;
}

std::shared_ptr<Model::Prepared> Model::prepare(int64_t batch) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(batch);
    if (found != plans_.end()) return found->second;
    Shape shape = input_shape();
    shape[0] = batch;
    check_shape(shape);
    auto prepared = std::make_shared<Prepared>();
    prepared->plan = make_plan(graph_, constants_, kernels_, *packed_, shape, threads_);
    if (plans_.size() >= kMaxPlans) plans_.erase(std::prev(plans_.end()));
    return plans_[batch] = prepared;
}

// Pictures that never meet run in parts whose tensors stay in the cache. Weights are read again for every part: where they
// outweigh the tensors by far, these may take twice the room.
Model::Batch Model::look_at(int64_t batch) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = batches_.find(batch);
        if (found != batches_.end()) return found->second;
    }
    Shape shape = input_shape();
    shape[0] = batch;
    check_shape(shape);
    const auto whole = infer_all_shapes(graph_, shape);
    Batch result;
    result.part = batch;
    for (Entry head : graph_.heads) result.outputs.push_back(whole[size_t(head.node)][size_t(head.index)]);
    if (batch > 1) {
        shape[0] = 1;
        try {
            result.apart = pictures_are_independent(graph_, constants_, whole, infer_all_shapes(graph_, shape), batch);
        } catch (const Error&) {
            result.apart = false;  // the model does not take single pictures
        }
        if (result.apart) {
            const Plan& one = *prepare(1)->plan;
            const int64_t room = std::clamp(one.constant_bytes / 2, kCacheBytes, 2 * kCacheBytes);
            result.part = std::clamp<int64_t>(room / std::max<int64_t>(one.arena_bytes, 1), 1, batch);
        }
    }
    const std::lock_guard lock(mutex_);
    if (batches_.size() >= kMaxBatches) batches_.clear();
    batches_.emplace(batch, result);  // whole or not at all
    return result;
}

std::vector<Shape> Model::output_shapes(int64_t batch) { return look_at(batch).outputs; }

// Hands the steps and the call for pictures first .. first + count - 1 to f.
template <typename F>
void Model::with_part(const Request& request, const Batch& whole, int64_t first, int64_t count, F f) {
    const int64_t input_bytes = elements(input_shape()) / input_shape()[0] * (request.input_is_int8 ? 1 : 4);
    const int64_t output_bytes = outputs_are_int8() ? 1 : 4;
    std::vector<void*> outputs(request.outputs, request.outputs + whole.outputs.size());
    if (first)
        for (size_t i = 0; i < outputs.size(); ++i)
            outputs[i] = static_cast<char*>(outputs[i]) + elements(whole.outputs[i]) / request.batch * first * output_bytes;
    const std::shared_ptr<Prepared> prepared = prepare(count);
    Arena arena = prepared->take();
    Call call;
    call.arena = arena.get();
    call.buffers = prepared->plan->buffer_offsets.data();
    call.input = static_cast<const char*>(request.input) + first * input_bytes;
    call.input_is_int8 = request.input_is_int8;
    call.outputs = outputs.data();
    f(prepared->plan->steps, call);
    prepared->give_back(std::move(arena));
}

// Parts of a batch, each run by one thread from beginning to end.
class Model::Parts : public Step {
public:
    Parts(Model& model, const Request& request, const Batch& whole, int64_t part, int64_t count)
        : model_(model), request_(request), whole_(whole), part_(part) {
        tasks = int(count);
        model.prepare(part);  // planned here, once
    }
    void run(const Call&, int task) const override {
        model_.with_part(request_, whole_, task * part_, part_, [](const auto& steps, const Call& call) { run_steps(steps, call, 1); });
    }
    void touch(std::vector<int>&) const override {}

private:
    Model& model_;
    const Request& request_;
    const Batch& whole_;
    const int64_t part_;
};

void Model::run(const void* input, bool input_is_int8, int64_t batch, void* const* outputs) {
    const Request request{input, input_is_int8, batch, outputs};
    const Batch whole = look_at(batch);
    int64_t first = 0;
    if (whole.apart && threads_ > 1 && batch >= threads_) {
        // As many parts as threads, or a multiple: no thread waits for another. The rest is shared step by step.
        const int64_t part = std::min(whole.part, batch / threads_);
        const int64_t count = batch / part / threads_ * threads_;
        std::vector<std::unique_ptr<Step>> parts;
        parts.push_back(std::make_unique<Parts>(*this, request, whole, part, count));
        run_steps(parts, Call(), threads_);
        first = part * count;
    }
    for (; first < batch; first += whole.part)
        with_part(request, whole, first, std::min(whole.part, batch - first),
                  [this](const auto& steps, const Call& call) { run_steps(steps, call, threads_); });
}

std::vector<double> Model::profile(const void* input, bool input_is_int8, int64_t batch, void* const* outputs) {
    const Request request{input, input_is_int8, batch, outputs};
    const Batch whole = look_at(batch);
    std::vector<double> total;
    for (int64_t first = 0; first < batch; first += whole.part)
        with_part(request, whole, first, std::min(whole.part, batch - first), [&](const auto& steps, const Call& call) {
            const std::vector<double> seconds = time_steps(steps, call);
            total.resize(std::max(total.size(), seconds.size()));
            for (size_t i = 0; i < seconds.size(); ++i) total[i] += seconds[i];
        });
    return total;
}

std::string Model::plan_json(int64_t batch) { return describe(*prepare(look_at(batch).part)->plan, kernels_); }

}  // namespace cvm
