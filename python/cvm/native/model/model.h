// A loaded model: what the C and the Python interface are made of.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plan/cache.h"
#include "plan/plan.h"

namespace cvm {

class ByteSource;

class Model {
public:
    // Reads a directory, whose files are checked against its manifest. threads <= 0: all processors. Throws Error; LimitError where the
    // model wants more than the limits allow.
    static std::unique_ptr<Model> load(const std::string& directory, int threads, const Limits& limits = Limits());
    // The same from memory.
    static std::unique_ptr<Model> parse(std::string_view symbol, const void* params, size_t size, int threads,
                                        const Limits& limits = Limits());

    // Input shape as stored; the first dimension is the batch and may differ in run().
    const Shape& input_shape() const { return graph_.nodes[size_t(graph_.data)].shapes[0]; }
    int input_precision() const { return graph_.nodes[size_t(graph_.data)].precisions[0]; }
    size_t num_outputs() const { return graph_.heads.size(); }
    int output_precision(size_t i) const { return graph_.precision(graph_.heads[i]); }
    bool outputs_are_int8() const;
    int threads() const { return threads_; }

    // The digest of the whole directory; empty where it has no manifest, and of models from memory.
    const std::string& sha256() const { return sha256_; }
    const char* kernels() const { return kernels_.name; }
    // What the model may take; callers may take shares for what they hold on its behalf.
    Memory& memory() { return memory_; }

    // Shapes of the outputs for a batch. Throws Error where the model cannot take that batch size.
    std::vector<Shape> output_shapes(int64_t batch);
    // The reference's operation count of a batch.
    int64_t operations(int64_t batch);

    // Runs a batch. `input` is row-major int8 or int32; outputs[i] has room for head i, int8 iff outputs_are_int8().
    // May be called from several threads at a time. Throws LimitError, and Cancelled where the watch stops it; the outputs are
    // then worth nothing, and the model can be run again.
    void run(const void* input, bool input_is_int8, int64_t batch, void* const* outputs, const Watch* watch = nullptr);

    // The same on the calling thread alone; returns the seconds that each step of the plan took.
    std::vector<double> profile(const void* input, bool input_is_int8, int64_t batch, void* const* outputs,
                                const Watch* watch = nullptr);

    // The plan for a batch as JSON. Its input shape says how many pictures run at a time.
    std::string plan_json(int64_t batch);

private:
    struct Prepared;
    // What a batch size gives, and how many pictures of it run at a time.
    struct Batch {
        std::vector<Shape> outputs;
        int64_t operations = 0;
        bool apart = false;  // the pictures never meet
        int64_t part = 1;
    };
    // The caller's tensors for a batch.
    struct Request {
        const void* input;
        bool input_is_int8;
        int64_t batch;
        void* const* outputs;
        const Watch* watch;
    };
    class Arena;
    class Parts;
    template <typename F>
    void with_part(const Request& request, const Batch& whole, int64_t first, int64_t count, F f);
    Batch look_at(int64_t batch, const Watch* watch);

    Model(std::string_view symbol, ByteSource& params, int threads, const Limits& limits);
    std::shared_ptr<Prepared> prepare(int64_t batch, const Watch* watch);
    std::shared_ptr<Prepared> plan(int64_t batch, const Watch* watch);
    Arena take_arena(const std::shared_ptr<Prepared>& prepared);

    const Limits limits_;
    Memory memory_;
    Share files_;  // what the graph and its parameters take
    Graph graph_;
    Constants constants_;
    const Kernels& kernels_;
    int threads_;
    std::string sha256_;
    PackCache packed_;
    std::mutex mutex_;
    std::map<int64_t, std::shared_ptr<Prepared>> plans_;
    std::map<int64_t, Batch> batches_;
};

}  // namespace cvm
