#include "runtime/model.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "format/params.h"
#include "format/symbol.h"
#include "runtime/threads.h"

namespace cvm {
namespace {

constexpr uint64_t kMaxSymbolBytes = uint64_t(256) << 20;
constexpr size_t kMaxPlans = 8;  // batch sizes kept planned

struct FreeAligned {
    void operator()(uint8_t* memory) const { ::operator delete[](memory, std::align_val_t(64)); }
};
using Arena = std::unique_ptr<uint8_t[], FreeAligned>;

std::string read_text(const std::string& path) {
    const auto source = open_file(path);
    if (source->remaining() > kMaxSymbolBytes) fail(path, " is larger than ", kMaxSymbolBytes, " bytes");
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
    void give_back(Arena arena) {
        const std::lock_guard lock(mutex);
        idle.push_back(std::move(arena));
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

std::vector<Shape> Model::output_shapes(int64_t batch) { return prepare(batch)->plan->outputs; }

template <typename F>
void Model::with_call(const void* input, bool input_is_int8, int64_t batch, void* const* outputs, F f) {
    const std::shared_ptr<Prepared> prepared = prepare(batch);
    Arena arena = prepared->take();
    Call call;
    call.arena = arena.get();
    call.buffers = prepared->plan->buffer_offsets.data();
    call.input = input;
    call.input_is_int8 = input_is_int8;
    call.outputs = outputs;
    f(prepared->plan->steps, call);
    prepared->give_back(std::move(arena));
}

void Model::run(const void* input, bool input_is_int8, int64_t batch, void* const* outputs) {
    with_call(input, input_is_int8, batch, outputs,
              [this](const auto& steps, const Call& call) { run_steps(steps, call, threads_); });
}

std::vector<double> Model::profile(const void* input, bool input_is_int8, int64_t batch, void* const* outputs) {
    std::vector<double> seconds;
    with_call(input, input_is_int8, batch, outputs,
              [&](const auto& steps, const Call& call) { seconds = time_steps(steps, call); });
    return seconds;
}

std::string Model::plan_json(int64_t batch) { return describe(*prepare(batch)->plan, kernels_); }

}  // namespace cvm
