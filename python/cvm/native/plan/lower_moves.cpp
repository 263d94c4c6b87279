// What only moves values, as steps.
#include "plan/lowering.h"

namespace cvm {

void Lowering::lower_copy(const Group& group) {
    auto step = std::make_unique<CopyStep>();
    step->in = placing_.picked_view(*grouping_.pick({group.node, 0}));
    step->out = placing_.make_view({group.node, 0});
    tasks_.share_moves(*step, step->out.n * step->out.h, step->out.w * step->out.c);
    step->title = title(group);
    placing_.emit(std::move(step));
}

void Lowering::lower_interleave(const Group& group) {
    auto step = std::make_unique<InterleaveStep>();
    const Interleaving& how = group.interleaving;
    step->in = placing_.get_view(group.source);
    step->out = placing_.make_view({group.node, 0});
    step->rows = how.rows;
    step->columns = how.columns;
    step->channel = how.channel;
    step->row = how.row;
    step->column = how.column;
    tasks_.share_moves(*step, step->out.n * step->out.h, step->out.w * step->out.c);
    step->title = "interleave " + title(group);
    placing_.emit(std::move(step));
}

// Row-major, the result is a tensor of the source's shape that lies channel-last without any padding; as rows of values, one of
// whole pictures or of pixels in each row.
void Lowering::lower_unroll(const Group& group) {
    const Entry result{group.node, 0};
    const View in = placing_.get_view(group.source);
    Layouts layouts = wanted(result);
    if (!group.makes_view(grouping_.shape(result))) layouts = {false, true};
    const auto copy = [&](const Place& place, Store type, int64_t picture_bytes, int64_t pixel_bytes) {
        auto step = std::make_unique<CopyStep>();
        step->in = in;
        step->out = in;
        step->out.place = place;
        step->out.type = type;
        step->out.sx = pixel_bytes;
        step->out.sy = in.w * pixel_bytes;
        step->out.sn = picture_bytes;
        tasks_.share_moves(*step, in.n * in.h, in.w * in.c);
        step->title = "unroll " + title(group);
        placing_.emit(std::move(step));
    };
    if (layouts.plain) copy(placing_.make_plain(result).place, Store::I32, in.h * in.w * in.c * 4, in.c * 4);
    if (!layouts.view) return;
    const View out = placing_.make_view(result);
    if (out.n == in.n) copy(out.place, out.type, out.sn, in.c * store_bytes(out.type));
    else copy(out.place, out.type, in.h * in.w * out.sn, out.sn);
}

void Lowering::lower_concat(const Group& group) {
    const Entry whole{group.node, 0};
    const View out = placing_.make_view(whole);
    int64_t channel = 0;
    for (Entry input : graph_.nodes[size_t(group.node)].inputs) {
        const int64_t at = channel;
        channel += grid_of(grouping_.shape(input)).c;
        if (!constants_.find(input) && placing_.lies_in(grouping_.resolve(input), whole, at)) continue;
        auto step = std::make_unique<CopyStep>();
        step->in = placing_.get_view(input);
        step->out = out;
        step->out.c = step->in.c;
        step->out.place.offset += at * store_bytes(out.type);
        tasks_.share_moves(*step, out.n * out.h, out.w * step->out.c);
        step->title = title(group);
        placing_.emit(std::move(step));
    }
}

}  // namespace cvm
