#include "model/model.h"

#include <algorithm>
#include <new>
#include <optional>

#include "format/directory.h"
#include "format/symbol.h"
#include "ops/infer.h"
#include "plan/batch.h"
#include "exec/threads.h"

namespace cvm {
namespace {

constexpr size_t kMaxPlans = 8;      // batch sizes kept planned
constexpr size_t kMaxBatches = 256;  // batch sizes remembered
constexpr int64_t kCacheBytes = int64_t(2) << 20;

constexpr int64_t kNodeBytes = 1024;  // what a node takes in memory

void check_operations(int64_t operations, int64_t batch, const Limits& limits) {
    if (operations > limits.operations)
        fail<LimitError>(operations, " operations for a batch of ", batch, " would exceed max_operations=", limits.operations);
}

// The graph of the two files; what it holds is taken first.
Graph read(std::string_view symbol, ByteSource& params, const Limits& limits, Share& share) {
    share.take(int64_t(symbol.size()), "the symbol");
    share.take(int64_t(std::min<uint64_t>(params.remaining(), INT64_MAX / 2)), "the params");
    Graph graph = read_graph(symbol, read_params(params));
    share.take(int64_t(graph.nodes.size()) * kNodeBytes, "the graph");
    const Shape data = graph.shape({graph.data, 0});
    if (limits.operations < INT64_MAX) check_operations(count_operations(graph, infer_all_shapes(graph, data)), data[0], limits);
    return graph;
}

}  // namespace

// The memory of one run in progress, with its share of the model's.
class Model::Arena {
public:
    Arena(Share share, size_t bytes) : share_(std::move(share)), memory_(new (kAlignment) uint8_t[bytes]) {}
    uint8_t* data() const { return memory_.get(); }

private:
    static constexpr std::align_val_t kAlignment{64};
    struct Free {
        void operator()(uint8_t* memory) const { ::operator delete[](memory, kAlignment); }
    };
    Share share_;
    std::unique_ptr<uint8_t[], Free> memory_;
};

// A plan and the arenas of runs that are not in progress.
struct Model::Prepared {
    std::unique_ptr<Plan> plan;
    std::mutex mutex;
    std::vector<Arena> idle;

    std::optional<Arena> take_idle() {
        const std::lock_guard lock(mutex);
        if (idle.empty()) return std::nullopt;
        Arena arena = std::move(idle.back());
        idle.pop_back();
        return arena;
    }
    Arena make_arena(Memory& memory) const {
        const int64_t bytes = std::max<int64_t>(plan->arena_bytes, 64);
        Share share(memory);
        share.take(bytes + plan->scratch_bytes, "the arena of a run");
        return Arena(std::move(share), size_t(bytes));
    }
    void give_back(Arena arena) noexcept {
        try {
            const std::lock_guard lock(mutex);
            idle.push_back(std::move(arena));
        } catch (const std::bad_alloc&) {  // not kept, then
        }
    }
};

Model::Model(std::string_view symbol, ByteSource& params, int threads, const Limits& limits)
    : limits_(limits), memory_(limits.memory), files_(memory_), graph_(read(symbol, params, limits, files_)), constants_(graph_, memory_),
      kernels_(best_kernels()), threads_(threads > 0 ? std::min(threads, 1024) : available_processors()),
      packed_(kernels_, memory_) {}

std::unique_ptr<Model> Model::load(const std::string& directory, int threads, const Limits& limits) {
    const Directory files = open_directory(directory);
    std::unique_ptr<Model> model(new Model(files.symbol, *files.params, threads, limits));
    model->sha256_ = files.sha256;
    return model;
}

std::unique_ptr<Model> Model::parse(std::string_view symbol, const void* params, size_t size, int threads, const Limits& limits) {
    const auto source = view_memory(params, size);
    return std::unique_ptr<Model>(new Model(symbol, *source, threads, limits));
}

bool Model::outputs_are_int8() const {
    return std::all_of(graph_.heads.begin(), graph_.heads.end(), [this](Entry head) { return graph_.precision(head) <= 8; });
}

std::shared_ptr<Model::Prepared> Model::plan(int64_t batch, const Watch* watch) {
    Shape shape = input_shape();
    shape[0] = batch;
    check_shape(shape);
    auto prepared = std::make_shared<Prepared>();
    prepared->plan = make_plan(graph_, constants_, kernels_, packed_, memory_, shape, threads_, watch);
    return prepared;
}

// What is kept for later runs gives way to this one: where memory does not suffice, it is tried again without.
std::shared_ptr<Model::Prepared> Model::prepare(int64_t batch, const Watch* watch) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(batch);
    if (found != plans_.end()) return found->second;
    std::shared_ptr<Prepared> prepared;
    try {
        prepared = plan(batch, watch);
    } catch (const LimitError&) {
        if (plans_.empty()) throw;
        plans_.clear();
        prepared = plan(batch, watch);
    }
    if (plans_.size() >= kMaxPlans) plans_.erase(std::prev(plans_.end()));
    plans_.emplace(batch, prepared);
    return prepared;
}

Model::Arena Model::take_arena(const std::shared_ptr<Prepared>& prepared) {
    if (auto arena = prepared->take_idle()) return std::move(*arena);
    try {
        return prepared->make_arena(memory_);
    } catch (const LimitError&) {
        {
            const std::lock_guard lock(mutex_);
            plans_.clear();
        }
        return prepared->make_arena(memory_);
    }
}

// Pictures that never meet run in parts whose tensors stay in the cache. Weights are read again for every part: where they
// outweigh the tensors by far, these may take twice the room.
Model::Batch Model::look_at(int64_t batch, const Watch* watch) {
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
    result.operations = count_operations(graph_, whole);
    check_operations(result.operations, batch, limits_);
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
            const auto prepared = prepare(1, watch);
            const Plan& one = *prepared->plan;
            const int64_t room = std::clamp(one.constant_bytes / 2, kCacheBytes, 2 * kCacheBytes);
            result.part = std::clamp<int64_t>(room / std::max<int64_t>(one.arena_bytes, 1), 1, batch);
        }
    }
    const std::lock_guard lock(mutex_);
    if (batches_.size() >= kMaxBatches) batches_.clear();
    batches_.emplace(batch, result);  // whole or not at all
    return result;
}

std::vector<Shape> Model::output_shapes(int64_t batch) { return look_at(batch, nullptr).outputs; }

int64_t Model::operations(int64_t batch) { return look_at(batch, nullptr).operations; }

// Hands the steps and the call for pictures first .. first + count - 1 to f.
template <typename F>
void Model::with_part(const Request& request, const Batch& whole, int64_t first, int64_t count, F f) {
    const int64_t input_bytes = elements(input_shape()) / input_shape()[0] * (request.input_is_int8 ? 1 : 4);
    const int64_t output_bytes = outputs_are_int8() ? 1 : 4;
    std::vector<void*> outputs(request.outputs, request.outputs + whole.outputs.size());
    if (first)
        for (size_t i = 0; i < outputs.size(); ++i)
            outputs[i] = static_cast<char*>(outputs[i]) + elements(whole.outputs[i]) / request.batch * first * output_bytes;
    const std::shared_ptr<Prepared> prepared = prepare(count, request.watch);
    Arena arena = take_arena(prepared);
    Call call;
    call.arena = arena.data();
    call.watch = request.watch;
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
        model.prepare(part, request.watch);  // planned here, once
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

void Model::run(const void* input, bool input_is_int8, int64_t batch, void* const* outputs, const Watch* watch) {
    const Request request{input, input_is_int8, batch, outputs, watch};
    const Batch whole = look_at(batch, watch);
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

std::vector<double> Model::profile(const void* input, bool input_is_int8, int64_t batch, void* const* outputs,
                                   const Watch* watch) {
    const Request request{input, input_is_int8, batch, outputs, watch};
    const Batch whole = look_at(batch, watch);
    std::vector<double> total;
    for (int64_t first = 0; first < batch; first += whole.part)
        with_part(request, whole, first, std::min(whole.part, batch - first), [&](const auto& steps, const Call& call) {
            const std::vector<double> seconds = time_steps(steps, call);
            total.resize(std::max(total.size(), seconds.size()));
            for (size_t i = 0; i < seconds.size(); ++i) total[i] += seconds[i];
        });
    return total;
}

std::string Model::plan_json(int64_t batch) {
    return describe(*prepare(look_at(batch, nullptr).part, nullptr)->plan, kernels_);
}

}  // namespace cvm
