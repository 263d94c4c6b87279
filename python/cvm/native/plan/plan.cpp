#include "plan/plan.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <tuple>

#include "ops/reference.h"
#include "plan/program.h"

namespace cvm {

struct PackCache {
    std::mutex mutex;
    using Key = std::tuple<Entry, int64_t, int64_t, int64_t, int64_t, bool>;  // weights, groups, inputs, kernel, row taps
    std::map<Key, std::shared_ptr<const PackedConv>> convs;  // layers with the same weights share them
    std::map<std::pair<int, int64_t>, std::shared_ptr<const PackedDepthwise>> depthwise;  // node, repeat
};

std::shared_ptr<PackCache> make_pack_cache() { return std::make_shared<PackCache>(); }

namespace {

constexpr int64_t kSlack = 128;           // vectors may read this far behind a tensor
constexpr double kMacsPerMicrosecond = 2e5;
constexpr double kTaskMicroseconds = 3;  // smaller tasks are not worth handing out

struct Margins {
    int64_t top = 0, left = 0, bottom = 0, right = 0;
    uint8_t value = 128;

    bool any() const { return top || left || bottom || right; }
    bool covers(const Margins& o) const {
        return !o.any() || (value == o.value && top >= o.top && left >= o.left && bottom >= o.bottom && right >= o.right);
    }
};

Store store_type(const Range& range) {
    if (range.within(-128, 127)) return Store::U8;
    if (range.within(-32768, 32767)) return Store::I16;
    return Store::I32;
}

class Planner {
public:
    Planner(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache, const Shape& data, int threads)
        : graph_(graph), constants_(constants), kernels_(kernels), cache_(cache), threads_(threads),
          shapes_(infer_all_shapes(graph, data)), ranges_(infer_ranges(graph, constants, shapes_)),
          grouping_(graph, constants, shapes_, ranges_), plan_(std::make_unique<Plan>()) {
        plan_->input = data;
    }

    std::unique_ptr<Plan> build() {
        place_concatenations();
        request_margins();
        for (size_t g = 0; g < grouping_.groups.size(); ++g)
            if (grouping_.live(g)) lower(grouping_.groups[g]);
        lower_heads();
        lay_out_arena();
        return std::move(plan_);
    }

private:
    // --- storage ----------------------------------------------------------------------------------------

    int new_buffer(int64_t bytes) {
        buffer_bytes_.push_back(bytes + kSlack);
        return int(buffer_bytes_.size()) - 1;
    }

    template <typename T>
    Place constant_block(std::vector<T> values) {
        auto bytes = std::make_shared<Aligned<uint8_t>>(values.size() * sizeof(T) + kSlack);
        std::copy_n(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T), bytes->data());
        plan_->constant_bytes += int64_t(bytes->size());
        return {-1, 0, bytes};
    }

    View allocate(const Grid& grid, Store type, int64_t padded_channels, const Margins& margins) {
        View view;
        view.n = grid.n;
        view.c = grid.c;
        view.h = grid.h;
        view.w = grid.w;
        view.type = type;
        view.sx = padded_channels * store_bytes(type);
        view.sy = view.sx * (grid.w + margins.left + margins.right);
        view.sn = view.sy * (grid.h + margins.top + margins.bottom);
        view.place.buffer = new_buffer(view.sn * grid.n);
        view.place.offset = margins.top * view.sy + margins.left * view.sx;
        if (margins.any()) {
            Border border;
            border.view = view;
            border.top = margins.top;
            border.left = margins.left;
            border.bottom = margins.bottom;
            border.right = margins.right;
            border.value = margins.value;
            pending_borders_.push_back(border);
        }
        return view;
    }

    // The place that the group of `entry` writes its channel-last result to.
    View make_view(Entry entry) {
        const auto found = views_.find(entry);
        if (found != views_.end()) return found->second;
        const Grid grid = *grid_of(grouping_.shape(entry));
        const auto parent = parents_.find(entry);
        View view;
        if (parent != parents_.end()) {
            view = make_view(parent->second.entry);
            view.c = grid.c;
            view.place.offset += parent->second.channel * store_bytes(view.type);
        } else {
            const bool tight = tight_.count(entry) != 0;
            view = allocate(grid, store_type(grouping_.range(entry)), tight ? grid.c : round_up(grid.c, kLanes), margins_of(entry));
        }
        views_[entry] = view;
        return view;
    }

    View get_view(Entry entry) {
        if (constants_.find(entry)) {
            const auto found = views_.find(entry);
            if (found != views_.end()) return found->second;
            return views_[entry] = constant_view(*constants_.find(entry), *grid_of(grouping_.shape(entry)));
        }
        entry = grouping_.resolve(entry);
        const auto found = views_.find(entry);
        if (found != views_.end()) return found->second;
        auto step = std::make_unique<FromPlainStep>();
        step->in = get_plain(entry, grouping_.shape(entry));
        step->out = make_view(entry);
        step->tasks = int(step->out.n * step->out.h);
        step->title = "to channel-last";
        emit(std::move(step));
        return views_[entry];
    }

    View constant_view(const Tensor& tensor, const Grid& grid) {
        const int64_t padded = round_up(grid.c, kLanes);
        std::vector<int32_t> values(size_t(grid.n * grid.h * grid.w * padded), 0);
        for (int64_t n = 0; n < grid.n; ++n)
            for (int64_t c = 0; c < grid.c; ++c)
                for (int64_t p = 0; p < grid.h * grid.w; ++p)
                    values[size_t((n * grid.h * grid.w + p) * padded + c)] = tensor.at((n * grid.c + c) * grid.h * grid.w + p);
        View view;
        view.n = grid.n;
        view.c = grid.c;
        view.h = grid.h;
        view.w = grid.w;
        view.sx = padded * 4;
        view.sy = view.sx * grid.w;
        view.sn = view.sy * grid.h;
        view.place = constant_block(std::move(values));
        return view;
    }

    Plain make_plain(Entry entry) {
        Plain plain;
        plain.shape = grouping_.shape(entry);
        plain.place.buffer = new_buffer(elements(plain.shape) * 4);
        plains_[entry] = plain;
        return plain;
    }

    Plain get_plain(Entry entry, const Shape& shape) {
        if (const Tensor* tensor = constants_.find(entry)) {
            auto found = plains_.find(entry);
            if (found == plains_.end()) found = plains_.emplace(entry, Plain{constant_block(widen(*tensor)), shape}).first;
            return found->second;
        }
        entry = grouping_.resolve(entry);
        auto found = plains_.find(entry);
        if (found == plains_.end()) {
            auto step = std::make_unique<ToPlainStep>();
            step->in = views_.at(entry);
            step->out = make_plain(entry);
            step->tasks = int(step->in.n * step->in.h);
            step->title = "to row-major";
            emit(std::move(step));
            found = plains_.find(entry);
        }
        Plain plain = found->second;
        plain.shape = shape;
        return plain;
    }

    void emit(std::unique_ptr<Step> step) {
        step->borders = std::move(pending_borders_);
        pending_borders_.clear();
        plan_->steps.push_back(std::move(step));
    }

    // --- decisions before lowering ----------------------------------------------------------------------

    struct Parent {
        Entry entry;
        int64_t channel;
    };

    // Parts of a concatenation are written straight into the whole where the channels are aligned.
    void place_concatenations() {
        for (size_t g = grouping_.groups.size(); g-- > 0;) {
            const Group& group = grouping_.groups[g];
            if (group.kind != Group::Kind::Concat || !grouping_.live(g)) continue;
            const Entry whole{group.node, 0};
            int64_t channel = 0;
            for (Entry input : graph_.nodes[size_t(group.node)].inputs) {
                const int64_t at = channel;
                channel += grouping_.shape(input)[1];
                if (at % kLanes || constants_.find(input)) continue;
                const Entry part = grouping_.resolve(input);
                const Group& writer = grouping_.groups[size_t(grouping_.group_of(part))];
                if (writer.kind == Group::Kind::Input || writer.kind == Group::Kind::Reference || parents_.count(part)) continue;
                if (store_type(grouping_.range(part)) != store_type(grouping_.range(whole))) continue;
                parents_[part] = {whole, at};
            }
        }
    }

    Entry root_of(Entry entry) const {
        for (auto found = parents_.find(entry); found != parents_.end(); found = parents_.find(entry)) entry = found->second.entry;
        return entry;
    }

    Margins margins_of(Entry entry) const {
        const auto found = margins_.find(root_of(entry));
        return found == margins_.end() ? Margins{} : found->second;
    }

    Margins needed(const Group& group) const {
        const Convolution& conv = *group.conv;
        const Grid in = *grid_of(grouping_.shape(group.source));
        const auto beyond = [](int64_t count, int64_t stride, int64_t dilation, int64_t kernel, int64_t start, int64_t size) {
            return std::max<int64_t>(0, (count - 1) * stride - start + dilation * (kernel - 1) - (size - 1));
        };
        Margins m;
        m.top = std::max<int64_t>(0, conv.top);
        m.left = std::max<int64_t>(0, conv.left);
        m.bottom = beyond(group.grid.h, conv.stride_h, conv.dilation_h, conv.kernel_h, conv.top, in.h);
        m.right = beyond(group.grid.w, conv.stride_w, conv.dilation_w, conv.kernel_w, conv.left, in.w);
        m.value = uint8_t(conv.pad_value + 128);
        return m;
    }

    void request_margins() {
        for (size_t g = 0; g < grouping_.groups.size(); ++g) {
            const Group& group = grouping_.groups[g];
            if (group.kind != Group::Kind::Conv || !grouping_.live(g)) continue;
            const Margins m = needed(group);
            if (!m.any()) continue;
            auto [at, fresh] = margins_.try_emplace(root_of(group.source), m);
            if (fresh || at->second.value != m.value) continue;
            Margins& all = at->second;
            all.top = std::max(all.top, m.top);
            all.left = std::max(all.left, m.left);
            all.bottom = std::max(all.bottom, m.bottom);
            all.right = std::max(all.right, m.right);
        }
        // An input of few channels that only convolutions read is kept without padding channels.
        const Entry data{graph_.data, 0};
        const auto grid = grid_of(grouping_.shape(data));
        if (!grid || grid->c >= kLanes || !grouping_.range(data).within(-128, 127)) return;
        for (int g : grouping_.readers(data)) {
            const Group& group = grouping_.groups[size_t(g)];
            if (group.kind != Group::Kind::Conv || group.conv->groups != 1 || !(group.source == data) ||
                count_reads(group, data) != 1)
                return;
        }
        if (!grouping_.readers(data).empty()) tight_[data] = true;
    }

    // How often the members read the entry, plus one for the group's own operator.
    int count_reads(const Group& group, Entry entry) const {
        int reads = 1;
        for (int member : group.members)
            for (Entry input : graph_.nodes[size_t(member)].inputs) reads += !constants_.find(input) && grouping_.resolve(input) == entry;
        return reads;
    }

    // --- steps ------------------------------------------------------------------------------------------

    std::string title(const Group& group) const {
        std::string text;
        const auto add = [&](int node) {
            if (!text.empty()) text += " + ";
            text += op_name(graph_.nodes[size_t(node)].op);
        };
        if (group.node >= 0) add(group.node);
        for (int member : group.members) add(member);
        const int first = group.node >= 0 ? group.node : group.members[0];
        return text + " (" + graph_.nodes[size_t(first)].name + ")";
    }

    // How many tasks work of so many multiply-adds is worth: one, or a few for each thread.
    int64_t task_count(double macs) const {
        const double tasks = macs / (kMacsPerMicrosecond * kTaskMicroseconds);
        return tasks < 2 ? 1 : std::min<int64_t>(round_up(int64_t(std::min(tasks, 1e6)), threads_), 4 * threads_);
    }

    // Rows per task, for `rows` rows of `macs` multiply-adds each.
    int64_t chunk_rows(int64_t rows, double macs) const { return ceil_div(rows, task_count(double(rows) * macs)); }

    void lower(const Group& group) {
        switch (group.kind) {
            case Group::Kind::Input: return lower_input(group);
            case Group::Kind::Conv: return lower_conv(group);
            case Group::Kind::Program: return lower_program(group);
            case Group::Kind::Pool: return lower_pool(group);
            case Group::Kind::Sum: return lower_sum(group);
            case Group::Kind::Copy: return lower_upsampling(group);
            case Group::Kind::Concat: return lower_concat(group);
            case Group::Kind::Reference: return lower_reference(group);
        }
    }

    ProgramInputs program_inputs() {
        return {graph_, constants_, grouping_, [this](Entry entry) { return get_view(entry); },
                [this](Entry entry) { return make_view(entry); },
                [this](const Tensor& tensor, const Grid& grid) { return constant_view(tensor, grid); }};
    }

    void lower_input(const Group& group) {
        const Entry data{group.node, 0};
        const Shape& shape = grouping_.shape(data);
        const auto grid = grid_of(shape);
        bool as_view = false, as_plain = false;
        for (int reader : grouping_.readers(data)) {
            const bool plain = !grid || grouping_.groups[size_t(reader)].kind == Group::Kind::Reference;
            (plain ? as_plain : as_view) = true;
        }
        if (!as_view && !as_plain) as_plain = grouping_.stored(data);  // only a head reads it
        if (!as_view && !as_plain) return;
        auto step = std::make_unique<InputStep>();
        step->kernels = &kernels_;
        step->limit = int32_t(magnitude(graph_.precision(data)));
        if (as_view) step->views.push_back(make_view(data));
        if (as_plain) step->plains.push_back(make_plain(data));
        step->w = elements(shape);
        if (grid) {
            step->n = grid->n;
            step->c = grid->c;
            step->h = grid->h;
            step->w = grid->w;
        }
        step->rows_per_task = chunk_rows(step->n * step->h, double(step->c * step->w) * 60);
        step->tasks = int(ceil_div(step->n * step->h, step->rows_per_task));
        if (as_view) step->scratch.buffer = new_buffer(step->tasks * step->scratch_bytes());
        step->title = "input";
        emit(std::move(step));
    }

    // The input of a convolution with the border that it needs, copied where its own storage has another one.
    View bordered(const Group& group) {
        View view = get_view(group.source);
        const Margins need = needed(group);
        if (margins_of(group.source).covers(need)) return view;
        auto step = std::make_unique<CopyStep>();
        step->in = view;
        step->out = allocate(*grid_of(grouping_.shape(group.source)), Store::U8, view.sx, need);
        step->tasks = int(step->out.n * step->out.h);
        step->title = "pad";
        view = step->out;
        emit(std::move(step));
        return view;
    }

    void lower_conv(const Group& group) {
        const Convolution& conv = *group.conv;
        View in = bordered(group);
        in.place.offset -= conv.top * in.sy + conv.left * in.sx;
        std::vector<int64_t> bias = conv.bias;
        Ending ending = build_ending(program_inputs(), group, bias, conv.depthwise());
        const int64_t rows = group.grid.n * group.grid.h * group.grid.w;
        const int64_t macs_per_row = conv.outputs * conv.inputs * conv.kernel_h * conv.kernel_w;
        std::vector<int64_t> taps;
        for (int64_t y = 0; y < conv.kernel_h; ++y)
            for (int64_t x = 0; x < conv.kernel_w; ++x) taps.push_back(y * conv.dilation_h * in.sy + x * conv.dilation_w * in.sx);

        const auto fill = [&](auto& step) {  // needs init, set from the packed weights
            step.kernels = &kernels_;
            step.in = in;
            step.out_n = group.grid.n;
            step.out_h = group.grid.h;
            step.out_w = group.grid.w;
            step.step_y = conv.stride_h * in.sy;
            step.step_x = conv.stride_w * in.sx;
            for (size_t o = 0; o < bias.size(); ++o) step.init[o] = wrap(step.init[o] + bias[o]);
            step.finish = ending.kind == Ending::Kind::U8 ? "u8" : ending.kind == Ending::Kind::Joint ? "joint" : "program";
            step.ending = std::move(ending);
            step.macs = rows * macs_per_row;
            step.weight_bytes = int64_t(step.weights->size());
            step.title = title(group);
        };

        if (conv.depthwise()) {
            auto step = std::make_unique<DepthwiseStep>();
            const int64_t repeat = pixels_per_tile(conv, group.grid, in, ending);
            const auto packed = packed_depthwise(group, repeat);
            step->weights = packed->weights;
            step->init = packed->init;
            while (taps.size() % 4) taps.push_back(taps.back());
            step->taps = std::move(taps);
            step->channels = conv.outputs;
            std::vector<int64_t> repeated;
            for (int64_t k = 0; k < repeat; ++k) repeated.insert(repeated.end(), bias.begin(), bias.end());
            bias = repeated;
            fill(*step);
            if (repeat > 1) widen_pixels(*step, repeat);
            const int64_t tile_rows = rows / repeat;
            step->row_chunk = chunk_rows(tile_rows, double(macs_per_row * repeat) * 4);
            step->tasks = int(ceil_div(tile_rows, step->row_chunk));
            emit(std::move(step));
            return;
        }
        auto step = std::make_unique<ConvStep>();
        const auto packed = packed_conv(group, in.sx);
        step->steps = packed->steps;
        step->weights = packed->weights;
        step->blocks = packed->blocks;
        step->init = packed->init;
        if (packed->row_taps) {
            taps.clear();
            for (int64_t y = 0; y < conv.kernel_h; ++y) taps.push_back(y * conv.dilation_h * in.sy);
        }
        step->taps = std::move(taps);
        fill(*step);
        split(*step, rows, macs_per_row, in);
        emit(std::move(step));
    }

    // A depthwise convolution of 16 or 32 channels fills the 64 of a tile with neighbouring pixels, where the step from
    // one to the next is the same for input and output.
    static int64_t pixels_per_tile(const Convolution& conv, const Grid& grid, const View& in, const Ending& ending) {
        if (ending.kind != Ending::Kind::U8 || conv.stride_w != 1 || in.sx != grid.c || ending.narrow.sx != grid.c) return 1;
        if (kTileWidth % grid.c || grid.c % kLanes) return 1;
        const int64_t repeat = kTileWidth / grid.c;
        return grid.w % repeat == 0 ? repeat : 1;
    }

    static void widen_pixels(DepthwiseStep& step, int64_t repeat) {
        const int64_t channels = step.channels;
        const auto repeated = [&](const int32_t*& constants) {
            if (!constants) return;
            auto wide = std::make_shared<Aligned<int32_t>>();
            for (int64_t k = 0; k < repeat; ++k) wide->insert(wide->end(), constants, constants + channels);
            constants = wide->data();
            step.ending.epilogue.constants.push_back(wide);
        };
        repeated(step.ending.joint.first.multiplier);
        repeated(step.ending.joint.first.addend);
        step.channels *= repeat;
        step.out_w /= repeat;
        step.step_x *= repeat;
        step.ending.narrow.sx *= repeat;
    }

    // Tasks of a convolution: the weights of many channels stay in the cache of one core (split by channels), or
    // the weights are few and every core takes its own pixels.
    void split(ConvStep& step, int64_t rows, int64_t macs_per_row, const View& in) const {
        constexpr int64_t kCacheBytes = 256 * 1024;
        const int64_t wanted = task_count(double(rows) * double(macs_per_row));
        const int64_t blocks = int64_t(step.blocks.size()), tiles = ceil_div(rows, kTileRows);
        const int64_t input_bytes = in.sn * in.n;
        int64_t by_block = int64_t(step.weights->size()) > kCacheBytes ? std::min(blocks, wanted) : 1;
        int64_t by_row = std::max(ceil_div(wanted, by_block), ceil_div(input_bytes, kCacheBytes));
        by_row = std::min(by_row, tiles);
        if (by_row * by_block < wanted) by_block = std::min(blocks, ceil_div(wanted, by_row));
        step.row_chunks = by_row;
        step.block_chunk = ceil_div(blocks, by_block);
        step.block_chunks = ceil_div(blocks, step.block_chunk);
        step.tasks = int(step.row_chunks * step.block_chunks);
        step.any_order = step.block_chunks == 1;
        step.many_weights = int64_t(step.weights->size()) / step.block_chunks > kCacheBytes;
    }

    std::shared_ptr<const PackedConv> packed_conv(const Group& group, int64_t pixel_bytes) {
        const Convolution& conv = *group.conv;
        const Entry weights = graph_.nodes[size_t(group.node)].inputs[1];
        const PackCache::Key key{weights, conv.groups, conv.inputs, conv.kernel_h, conv.kernel_w, takes_rows(conv, pixel_bytes)};
        const std::lock_guard lock(cache_.mutex);
        auto& packed = cache_.convs[key];
        if (!packed) packed = std::make_shared<PackedConv>(pack_conv(conv, pixel_bytes, kernels_.offset));
        if (counted_.insert(packed).second) plan_->constant_bytes += int64_t(packed->weights->size());
        return packed;
    }

    std::shared_ptr<const PackedDepthwise> packed_depthwise(const Group& group, int64_t repeat) {
        const std::lock_guard lock(cache_.mutex);
        auto& packed = cache_.depthwise[{group.node, repeat}];
        if (!packed) packed = std::make_shared<PackedDepthwise>(pack_depthwise(*group.conv, kernels_.interleaved, kernels_.offset, repeat));
        plan_->constant_bytes += int64_t(packed->weights->size());
        return packed;
    }

    void lower_program(const Group& group) {
        auto step = std::make_unique<ProgramStep>();
        step->kernels = &kernels_;
        step->n = group.grid.n;
        step->c = group.grid.c;
        step->h = group.grid.h;
        step->w = group.grid.w;
        step->epilogue = build_program(program_inputs(), group);
        const int64_t rows = group.grid.n * group.grid.h * group.grid.w;
        step->row_chunk = chunk_rows(rows, double(group.grid.c) * 20 * double(step->epilogue.code.size()));
        step->tasks = int(ceil_div(rows, step->row_chunk));
        step->title = title(group);
        emit(std::move(step));
    }

    void lower_pool(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<PoolStep>();
        step->kernels = &kernels_;
        step->in = get_view(node.inputs[0]);
        step->out = make_view({group.node, 0});
        if (node.op == Op::MaxPool2d) {
            step->pool_y = node.attrs.kernel[0];
            step->pool_x = node.attrs.kernel[1];
            step->stride_y = node.attrs.strides[0];
            step->stride_x = node.attrs.strides[1];
            step->pad_y = node.attrs.padding[0];
            step->pad_x = node.attrs.padding[1];
        } else {
            step->pool_y = step->in.h;
            step->pool_x = step->in.w;
        }
        const int64_t window = step->pool_y * step->pool_x;
        step->rows_per_task = chunk_rows(step->out.n * step->out.h, double(step->out.w * step->out.c * window) * 3);
        step->tasks = int(ceil_div(step->out.n * step->out.h, step->rows_per_task));
        step->title = title(group);
        if (step->in.type != step->out.type) {  // a concatenation keeps wider values
            const View target = step->out;
            step->out = allocate(group.grid, step->in.type, round_up(group.grid.c, kLanes), Margins{});
            auto copy = std::make_unique<CopyStep>();
            copy->in = step->out;
            copy->out = target;
            copy->tasks = int(target.n * target.h);
            copy->title = "convert";
            emit(std::move(step));
            emit(std::move(copy));
            return;
        }
        emit(std::move(step));
    }

    void lower_sum(const Group& group) {
        auto step = std::make_unique<SumStep>();
        step->kernels = &kernels_;
        step->in = get_view(graph_.nodes[size_t(group.node)].inputs[0]);
        step->epilogue = build_program(program_inputs(), group);
        step->tasks = int(step->in.n * ceil_div(step->in.c, kTileWidth));
        step->title = title(group);
        emit(std::move(step));
    }

    void lower_upsampling(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<CopyStep>();
        step->in = get_view(node.inputs[0]);
        step->out = make_view({group.node, 0});
        step->scale = node.attrs.scale;
        step->tasks = int(step->out.n * step->out.h);
        step->title = title(group);
        emit(std::move(step));
    }

    void lower_concat(const Group& group) {
        const Entry whole{group.node, 0};
        const View out = make_view(whole);
        int64_t channel = 0;
        for (Entry input : graph_.nodes[size_t(group.node)].inputs) {
            const int64_t at = channel;
            channel += grouping_.shape(input)[1];
            if (!constants_.find(input)) {
                const auto parent = parents_.find(grouping_.resolve(input));
                if (parent != parents_.end() && parent->second.entry == whole && parent->second.channel == at) continue;
            }
            auto step = std::make_unique<CopyStep>();
            step->in = get_view(input);
            step->out = out;
            step->out.c = step->in.c;
            step->out.place.offset += at * store_bytes(out.type);
            step->tasks = int(out.n * out.h);
            step->title = title(group);
            emit(std::move(step));
        }
    }

    void lower_reference(const Group& group) {
        const Node& node = graph_.nodes[size_t(group.node)];
        auto step = std::make_unique<ReferenceStep>();
        step->op = node.op;
        step->attrs = node.attrs;
        for (Entry input : node.inputs) step->in.push_back(get_plain(input, grouping_.shape(input)));
        for (int k = 0; k < num_outputs(node.op); ++k) step->out.push_back(make_plain({group.node, k}));
        step->title = title(group);
        emit(std::move(step));
    }

    void lower_heads() {
        const bool narrow = std::all_of(graph_.heads.begin(), graph_.heads.end(),
                                        [this](Entry head) { return graph_.precision(head) <= 8; });
        for (size_t i = 0; i < graph_.heads.size(); ++i) {
            const Entry head = graph_.heads[i];
            const Shape& shape = grouping_.shape(head);
            auto step = std::make_unique<OutputStep>();
            step->index = int(i);
            step->as_int8 = narrow;
            const auto view = constants_.find(head) ? views_.end() : views_.find(grouping_.resolve(head));
            step->from_view = view != views_.end();
            if (step->from_view) step->view = view->second;
            else step->plain = get_plain(head, shape);
            step->title = "output";
            plan_->outputs.push_back(shape);
            emit(std::move(step));
        }
    }

    // --- arena ------------------------------------------------------------------------------------------

    struct Life {
        int first = -1, last = -1;
    };

    std::vector<Life> lives() const {
        std::vector<Life> result(buffer_bytes_.size());
        for (size_t s = 0; s < plan_->steps.size(); ++s) {
            std::vector<int> touched;
            plan_->steps[s]->touch(touched);
            for (const Border& border : plan_->steps[s]->borders) touched.push_back(border.view.place.buffer);
            for (int b : touched) {
                if (result[size_t(b)].first < 0) result[size_t(b)].first = int(s);
                result[size_t(b)].last = int(s);
            }
        }
        return result;
    }

    // Greedy by size: every buffer goes to the lowest offset that no buffer alive at the same time covers. A buffer
    // that is written where another one dies may take that one's place.
    void lay_out_arena() {
        const size_t count = buffer_bytes_.size();
        std::vector<Life> alive = lives();
        std::vector<size_t> owner(count);
        for (size_t i = 0; i < count; ++i) owner[i] = i;
        const std::vector<Life> own = alive;
        for (size_t s = 0; s < plan_->steps.size(); ++s) {
            const auto [read, written] = plan_->steps[s]->in_place();
            if (read < 0 || written < 0 || own[size_t(read)].last != int(s) || own[size_t(written)].first != int(s) ||
                buffer_bytes_[size_t(read)] != buffer_bytes_[size_t(written)])
                continue;
            owner[size_t(written)] = owner[size_t(read)];
            alive[owner[size_t(read)]].last = own[size_t(written)].last;
        }
        std::vector<size_t> order;
        for (size_t i = 0; i < count; ++i)
            if (owner[i] == i) order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffer_bytes_[a] > buffer_bytes_[b]; });
        plan_->buffer_offsets.assign(count, 0);
        std::vector<size_t> placed;  // by offset
        for (size_t b : order) {
            const int64_t bytes = round_up(buffer_bytes_[b], 64);
            int64_t offset = 0;
            for (size_t other : placed) {
                if (alive[other].last < alive[b].first || alive[b].last < alive[other].first) continue;
                const int64_t start = plan_->buffer_offsets[other];
                if (offset + bytes <= start) break;
                offset = std::max(offset, start + round_up(buffer_bytes_[other], 64));
            }
            plan_->buffer_offsets[b] = offset;
            plan_->arena_bytes = std::max(plan_->arena_bytes, offset + bytes);
            placed.insert(std::upper_bound(placed.begin(), placed.end(), b, [&](size_t x, size_t y) {
                return plan_->buffer_offsets[x] < plan_->buffer_offsets[y];
            }), b);
        }
        for (size_t i = 0; i < count; ++i) plan_->buffer_offsets[i] = plan_->buffer_offsets[owner[i]];
        plan_->buffer_bytes = buffer_bytes_;
    }

    const Graph& graph_;
    const Constants& constants_;
    const Kernels& kernels_;
    PackCache& cache_;
    std::set<std::shared_ptr<const PackedConv>> counted_;
    const int threads_;
    const std::vector<std::vector<Shape>> shapes_;
    const Ranges ranges_;
    const Grouping grouping_;
    std::unique_ptr<Plan> plan_;
    std::vector<int64_t> buffer_bytes_;
    std::map<Entry, View> views_;
    std::map<Entry, Plain> plains_;
    std::map<Entry, Parent> parents_;
    std::map<Entry, Margins> margins_;
    std::map<Entry, bool> tight_;
    std::vector<Border> pending_borders_;
};

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

std::unique_ptr<Plan> make_plan(const Graph& graph, const Constants& constants, const Kernels& kernels, PackCache& cache,
                                const Shape& data_shape, int threads) {
    return Planner(graph, constants, kernels, cache, data_shape, threads).build();
}

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
