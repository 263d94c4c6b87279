#include "plan/placing.h"

#include <algorithm>

namespace cvm {
namespace {

constexpr int64_t kSlack = 128;  // vectors may read this far behind a tensor

Store store_type(const Range& range) {
    if (range.within(-128, 127)) return Store::U8;
    if (range.within(-32768, 32767)) return Store::I16;
    return Store::I32;
}

}  // namespace

Placing::Placing(const Graph& graph, const Constants& constants, const Grouping& grouping, const Rows& rows,
                 const Kernels& kernels, const Tasks& tasks, Plan& plan)
    : graph_(graph), constants_(constants), grouping_(grouping), rows_(rows), lanes_(kernels.tile.lanes), tasks_(tasks), plan_(plan) {
    place_concatenations();
    request_margins();
}

const View* Placing::find_view(Entry entry) const {
    const auto found = views_.find(grouping_.resolve(entry));
    return constants_.find(entry) || found == views_.end() ? nullptr : &found->second;
}

int Placing::new_buffer(int64_t bytes) {
    plan_.buffer_bytes.push_back(bytes + kSlack);
    return int(plan_.buffer_bytes.size()) - 1;
}

template <typename F>
Place Placing::constant_block(int64_t count, F fill) {
    const int64_t bytes = count * 4 + kSlack;
    plan_.share.take(bytes, "a constant");
    plan_.constant_bytes += bytes;
    auto block = std::make_shared<Aligned<uint8_t>>(size_t(bytes), uint8_t(0));
    fill(reinterpret_cast<int32_t*>(block->data()));
    return {-1, 0, std::move(block)};
}

View Placing::allocate(const Grid& grid, Store type, int64_t padded_channels, const Margins& margins) {
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

View Placing::make_view(Entry entry) {
    const auto found = views_.find(entry);
    if (found != views_.end()) return found->second;
    const Grid grid = grid_of(grouping_.shape(entry));
    const auto parent = parents_.find(entry);
    View view;
    if (rows_.passes(entry)) {
        view = row_view(grid, store_type(grouping_.range(entry)), rows_.flat(entry) ? 1 : round_up(grid.c, lanes_));
    } else if (parent != parents_.end()) {
        view = make_view(parent->second.entry);  // which has no parent itself
        view.c = grid.c;
        view.place.offset += parent->second.channel * store_bytes(view.type);
    } else {
        const bool tight = tight_.count(entry) != 0;
        view = allocate(grid, store_type(grouping_.range(entry)), tight ? grid.c : round_up(grid.c, lanes_), margins_of(entry));
    }
    views_[entry] = view;
    return view;
}

View Placing::row_view(const Grid& grid, Store type, int64_t padded_channels) {
    View view;
    view.n = grid.n;
    view.c = grid.c;
    view.h = grid.h;
    view.w = grid.w;
    view.type = type;
    view.sx = padded_channels * store_bytes(type);
    view.place.per_task = round_up(grid.w * view.sx, 64);
    view.place.buffer = new_buffer(tasks_.most() * view.place.per_task);
    return view;
}

View Placing::get_view(Entry entry) {
    if (constants_.find(entry)) {
        const auto found = views_.find(entry);
        if (found != views_.end()) return found->second;
        return views_[entry] = constant_view(*constants_.find(entry), grid_of(grouping_.shape(entry)));
    }
    entry = grouping_.resolve(entry);
    const auto found = views_.find(entry);
    if (found != views_.end()) return found->second;
    auto step = std::make_unique<FromPlainStep>();
    step->in = get_plain(entry, grouping_.shape(entry));
    step->out = make_view(entry);
    tasks_.share_moves(*step, step->out.n * step->out.h, step->out.w * step->out.c);
    step->title = "to channel-last";
    emit(std::move(step));
    return views_[entry];
}

View Placing::picked_view(const Pick& pick) {
    View view = get_view(pick.source);
    auto places = std::make_shared<PickedPixels>();
    view.h = int64_t(pick.pixels.rows.size());
    view.w = int64_t(pick.pixels.columns.size());
    plan_.share.take(int64_t(sizeof(int64_t)) * (view.h + view.w), "the places of picked pixels");
    for (int32_t row : pick.pixels.rows) places->rows.push_back(row * view.sy);
    for (int32_t column : pick.pixels.columns) places->columns.push_back(column * view.sx);
    view.picked = std::move(places);
    return view;
}

View Placing::constant_view(const Tensor& tensor, const Grid& grid) {
    const int64_t padded = round_up(grid.c, lanes_);
    const int64_t pixels = grid.h * grid.w;
    Place place = constant_block(grid.n * pixels * padded, [&](int32_t* values) {
        for (int64_t n = 0; n < grid.n; ++n)
            for (int64_t c = 0; c < grid.c; ++c)
                for (int64_t p = 0; p < pixels; ++p) values[(n * pixels + p) * padded + c] = tensor.at((n * grid.c + c) * pixels + p);
    });
    View view;
    view.n = grid.n;
    view.c = grid.c;
    view.h = grid.h;
    view.w = grid.w;
    view.sx = padded * 4;
    view.sy = view.sx * grid.w;
    view.sn = view.sy * grid.h;
    view.place = std::move(place);
    return view;
}

Plain Placing::make_plain(Entry entry) {
    Plain plain;
    plain.shape = grouping_.shape(entry);
    plain.place.buffer = new_buffer(elements(plain.shape) * 4);
    plains_[entry] = plain;
    return plain;
}

Plain Placing::get_plain(Entry entry, const Shape& shape) {
    if (const Tensor* tensor = constants_.find(entry)) {
        auto found = plains_.find(entry);
        if (found == plains_.end()) {
            Place place = constant_block(tensor->size(), [&](int32_t* values) {
                for (int64_t i = 0; i < tensor->size(); ++i) values[i] = tensor->at(i);
            });
            found = plains_.emplace(entry, Plain{std::move(place), shape}).first;
        }
        return found->second;
    }
    entry = grouping_.resolve(entry);
    auto found = plains_.find(entry);
    if (found == plains_.end()) {
        auto step = std::make_unique<ToPlainStep>();
        step->in = views_.at(entry);
        step->out = make_plain(entry);
        tasks_.share_moves(*step, step->in.n * step->in.h, step->in.w * step->in.c);
        step->title = "to row-major";
        emit(std::move(step));
        found = plains_.find(entry);
    }
    Plain plain = found->second;
    plain.shape = shape;
    return plain;
}

void Placing::emit(std::unique_ptr<Step> step) {
    step->borders = std::move(pending_borders_);
    pending_borders_.clear();
    plan_.steps.push_back(std::move(step));
}

// Parts of a concatenation are written straight into the whole where nothing that is written there reaches into another part:
// where their channels are aligned, as the padding behind them belongs to nobody or to parts that are copied there later; or by
// copies, which write their channels alone, behind that padding.
void Placing::place_concatenations() {
    for (size_t g = grouping_.groups.size(); g-- > 0;) {
        const Group& group = grouping_.groups[g];
        if (group.kind != Group::Kind::Concat || !grouping_.live(g)) continue;
        const Entry whole{group.node, 0};
        int64_t channel = 0, padded = 0;
        for (Entry input : graph_.nodes[size_t(group.node)].inputs) {
            const int64_t at = channel;
            channel += grid_of(grouping_.shape(input)).c;
            if (constants_.find(input)) continue;
            const Entry part = grouping_.resolve(input);
            const Group& writer = grouping_.groups[size_t(grouping_.group_of(part))];
            if (!writer.makes_view(grouping_.shape(part)) || parents_.count(part)) continue;
            if (writer.copies() ? at < padded : at % lanes_ != 0) continue;
            if (store_type(grouping_.range(part)) != store_type(grouping_.range(whole))) continue;
            // Groups go backwards, so that the whole knows its own place already.
            const auto outer = parents_.find(whole);
            if (!writer.copies()) padded = round_up(channel, lanes_);
            parents_[part] = outer == parents_.end() ? Parent{whole, at} : Parent{outer->second.entry, outer->second.channel + at};
        }
    }
}

Entry Placing::root_of(Entry entry) const {
    const auto found = parents_.find(entry);
    return found == parents_.end() ? entry : found->second.entry;
}

bool Placing::lies_in(Entry part, Entry whole, int64_t channel) const {
    const auto inner = parents_.find(part), outer = parents_.find(whole);
    if (inner == parents_.end()) return false;
    const Parent parent = outer == parents_.end() ? Parent{whole, 0} : outer->second;
    return inner->second.entry == parent.entry && inner->second.channel == parent.channel + channel;
}

Margins Placing::margins_of(Entry entry) const {
    const auto found = margins_.find(root_of(entry));
    return found == margins_.end() ? Margins{} : found->second;
}

Margins Placing::needed(const Group& group) const {
    const Convolution& conv = *group.conv;
    const Grid in = grid_of(grouping_.shape(group.source));
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

void Placing::request_margins() {
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
    if (grid_of(grouping_.shape(data)).c >= lanes_ || !grouping_.range(data).within(-128, 127)) return;
    for (int g : grouping_.readers(data)) {
        const Group& group = grouping_.groups[size_t(g)];
        if (group.kind != Group::Kind::Conv || group.conv->groups != 1 || !(group.source == data) ||
            count_reads(group, data) != 1)
            return;
    }
    if (!grouping_.readers(data).empty()) tight_[data] = true;
}

// How often the members read the entry, plus one for the group's own operator.
int Placing::count_reads(const Group& group, Entry entry) const {
    int reads = 1;
    for (int member : group.members)
        for (Entry input : graph_.nodes[size_t(member)].inputs) {
            const Pick* picked = grouping_.pick(group.grid, input);
            reads += picked ? picked->source == entry : !constants_.find(input) && grouping_.resolve(input) == entry;
        }
    return reads;
}

}  // namespace cvm
