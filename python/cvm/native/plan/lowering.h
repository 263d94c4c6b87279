// The steps of a plan, group by group.
#pragma once

#include <set>

#include "plan/cache.h"
#include "plan/placing.h"
#include "plan/program.h"
#include "plan/rows.h"

namespace cvm {

class Lowering {
public:
    Lowering(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Grouping& grouping,
             int threads, Plan& plan)
        : graph_(graph), constants_(constants), kernels_(kernels), cache_(cache), grouping_(grouping), tasks_(threads),
          plan_(plan), rows_(graph, grouping), placing_(graph, constants, grouping, rows_, kernels, tasks_, plan) {}

    void run(const Watch* watch);

private:
    std::string title(const Group& group) const;
    void lower(const Group& group);
    struct Layouts {
        bool view = false, plain = false;
    };
    // How those who read an entry of a group that can write both want it.
    Layouts wanted(Entry entry) const;
    ProgramInputs program_inputs(const Group& group);
    void lower_input(const Group& group);
    // The input of a convolution with the border that it needs, copied where its own storage has another one.
    View bordered(const Group& group);
    void lower_conv(const Group& group);
    // The parts of the result, and what the sums of each begin with.
    template <typename AnyStep>
    void add_parts(AnyStep& step, const Convolution& conv) const;
    // A depthwise convolution of 16 or 32 channels fills the 64 of a tile with neighbouring pixels, where the step from
    // one to the next is the same for input and output.
    int64_t pixels_per_tile(const Convolution& conv, const Grid& grid, const View& in, const Ending& ending) const;
    static void widen_pixels(DepthwiseStep& step, int64_t repeat);
    // Tasks of a convolution: the weights of many channels stay in the cache of one core (split by channels), or
    // the weights are few and every core takes its own pixels.
    void split(ConvStep& step, int64_t rows, int64_t macs_per_row, const View& in) const;
    std::shared_ptr<const PackedConv> packed_conv(const Group& group, int64_t pixel_bytes);
    std::shared_ptr<const PackedDepthwise> packed_depthwise(const Group& group, int64_t repeat);
    void lower_program(const Group& group);
    void lower_pool(const Group& group);
    void lower_sum(const Group& group);
    void lower_channel_max(const Group& group);
    void lower_copy(const Group& group);
    void lower_interleave(const Group& group);
    void lower_unroll(const Group& group);
    void lower_concat(const Group& group);
    void lower_reference(const Group& group);
    void lower_heads();
    // The output that a group runs with, row by row; -1 for none.
    int output_of(const Group& group) const { return rows_.output_of(size_t(&group - grouping_.groups.data())); }
    // A step of such a group, or else one of its own.
    void emit(const Group& group, std::unique_ptr<Step> step);
    void emit_rows(std::unique_ptr<OutputStep> output);

    const Graph& graph_;
    const Constants& constants_;
    const Kernels& kernels_;
    PackCache& cache_;
    const Grouping& grouping_;
    const Tasks tasks_;
    Plan& plan_;
    const Rows rows_;
    Placing placing_;
    std::map<int, std::vector<std::unique_ptr<Step>>> parts_;  // of outputs that are computed row by row
    std::set<std::shared_ptr<const PackedConv>> counted_;
};

}  // namespace cvm
