"""Operators that pick pixels, and what is made of them: resizing, border tables, anything before and after."""

from __future__ import annotations

import native_models
import numpy as np
import pytest
from cvm import runtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import compare

_quick = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def taken(b: native_models.Builder, x: int, axis: int, places: np.ndarray) -> int:
    shape = list(b.shapes[x])
    shape[axis] = len(places)
    return b.op("take", x, b.const(places, 16), shape=tuple(shape), axis=axis - 4 if len(places) % 2 else axis)


def picked(b: native_models.Builder, x: int, data) -> int:
    """The result of an operator that picks pixels of x, in any of its ways."""
    n, c, h, w = b.shapes[x]
    rng = b.rng
    op = data.draw(st.sampled_from(["take", "upsampling", "repeat", "strided_slice", "slice_like", "tile"]), "operator")
    axis = data.draw(st.integers(2, 3), "axis")
    if op == "take":  # numbers beyond the axis take the nearest pixel
        count = data.draw(st.integers(1, 9), "count")
        return taken(b, x, axis, rng.integers(-2, b.shapes[x][axis] + 2, count))
    if op == "upsampling":
        return b.op(op, x, shape=(n, c, 2 * h, 2 * w), scale=2)
    if op == "repeat":
        shape = (n, c, 3 * h, w) if axis == 2 else (n, c, h, 3 * w)
        return b.op(op, x, shape=shape, axis=axis, repeats=3)
    if op == "tile":
        return b.op(op, x, shape=(n, c, 2 * h, w), reps=(1, 1, 2, 1))
    if op == "slice_like":
        like = b.const(np.zeros((1, 1, max(h - 1, 1), max(w - 2, 1))))
        return b.op(op, x, like, shape=(n, c, max(h - 1, 1), max(w - 2, 1)), axis=(2, 3))
    rows, columns = range(h)[::-1], range(w)[w // 2 :: 2]
    attrs = {"begin": (0, 0, -1, w // 2), "end": (n, c, -h - 1, w), "stride": (1, 1, -1, 2)}
    return b.op(op, x, shape=(n, c, len(rows), len(columns)), **attrs)


def resized(b: native_models.Builder, x: int, axis: int, count: int, bits: int = 16) -> int:
    """Bilinear along one axis, as the quantizer writes it: near + (far - near) * weight, the difference clipped."""
    size = b.shapes[x][axis]
    place = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
    near = np.floor(place).astype(int)
    low, high = taken(b, x, axis, near), taken(b, x, axis, np.minimum(near + 1, size - 1))
    weights = np.round((place - near) * 128).astype(int).reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
    step = b.op("cvm_clip", b.op("elemwise_sub", high, low), precision=bits)
    return b.op("elemwise_add", low, b.shift(b.op("broadcast_mul", step, b.const(weights)), 7, 16))


@_quick
@given(data=st.data())
def test_picked_pixels_before_and_after_anything(data, tmp_path) -> None:
    channels = data.draw(st.sampled_from([1, 3, 16, 20, 70]), "channels")
    size = (data.draw(st.integers(1, 9), "height"), data.draw(st.integers(1, 9), "width"))
    b = native_models.Builder((2, channels, *size), data.draw(st.integers(0, 999), "seed"))
    x = b.data
    if data.draw(st.booleans(), "a layer first"):
        x = b.requantize(b.conv(x, data.draw(st.sampled_from([5, 32]), "outputs"), 3, pad=1), 64, 8)
    heads = []
    for _ in range(data.draw(st.integers(1, 3), "operators")):
        x = picked(b, x, data)
        follow = data.draw(
            st.sampled_from(["nothing", "unary", "itself", "constant", "layer", "concat", "pool", "sum"])
        )
        n, c, h, w = b.shapes[x]
        if follow == "unary":
            x = b.op("relu", b.op("negative", x))
        elif follow == "itself":  # and other pixels of the same tensor
            turned = taken(b, x, 3, np.arange(w)[::-1])
            x = b.op("cvm_clip", b.op("elemwise_sub", x, b.op("cvm_clip", turned, precision=6)), precision=8)
        elif follow == "constant":
            table = picked(b, b.const(b.rng.integers(-9, 10, (1, c, 4, 5))), data)
            table = taken(b, taken(b, table, 2, b.rng.integers(0, 4, h)), 3, b.rng.integers(0, 5, w))
            x = b.op("cvm_clip", b.op("broadcast_add", x, table), precision=8)
        elif follow == "layer":
            x = b.requantize(b.conv(x, 24, 3, pad=1), 64, 8)
        elif follow == "concat":
            x = b.op("concatenate", x, b.op("negative", x), x, shape=(n, 3 * c, h, w), axis=1)
        elif follow == "pool":
            x = b.op("max_pool2d", x, shape=(n, c, h + 1, w + 1), pool_size=(2, 2), padding=(1, 1))
        elif follow == "sum":
            x = b.op("sum", x, shape=(n, c, 1, 1), axis=(2, 3), keepdims=True)
            x = b.shift(x, 5, 8)
        if data.draw(st.booleans(), "a head, too"):
            heads.append(x)
    if data.draw(st.booleans(), "row-major"):
        n, c, h, w = b.shapes[x]
        x = b.op("transpose", x, shape=(n, h, w, c), axes=(0, 2, 3, 1))
    compare(b.model(*heads, x), tmp_path)


@_quick
@given(data=st.data())
def test_resizing(data, tmp_path) -> None:
    """Of 8 and 16 bits, with differences that are clipped; what follows may be per channel."""
    channels = data.draw(st.sampled_from([1, 7, 32, 72]), "channels")
    b = native_models.Builder((1, channels, data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))))
    bits = data.draw(st.sampled_from([8, 14]), "bits")
    x = b.requantize(b.conv(b.data, channels, 1), 64, bits)
    clipped = data.draw(st.sampled_from([6, 16]), "bits of differences")
    x = resized(b, x, 2, data.draw(st.integers(1, 30), "rows"), clipped)
    x = b.op("cvm_clip", x, precision=bits) if data.draw(st.booleans(), "clip") else x
    x = resized(b, x, 3, data.draw(st.integers(1, 30), "columns"), clipped)
    follow = data.draw(st.sampled_from(["nothing", "clip", "multiplier", "multipliers", "addend", "layer"]), "then")
    if follow == "clip":
        x = b.op("cvm_clip", x, precision=bits - 2)
    elif follow in ("multiplier", "multipliers"):
        factors = b.rng.integers(1, 9, (1, channels if follow == "multipliers" else 1, 1, 1))
        x = b.shift(b.op("broadcast_mul", x, b.const(factors)), 2, 8)
    elif follow == "addend":
        x = b.shift(b.op("broadcast_add", x, b.const(b.rng.integers(-99, 99, (1, channels, 1, 1)))), 2, 8)
    elif follow == "layer":
        x = b.conv(b.op("cvm_clip", x, precision=8), 8, 3, pad=1)
    titles = compare(b.model(x), tmp_path)
    assert not any(title.startswith("take") for title in titles)  # programs reach for their pixels


@pytest.mark.parametrize("bits", [6, 16])
def test_a_direction_of_a_resizing_is_one_pass(bits: int, tmp_path) -> None:
    b = native_models.Builder((1, 20, 9, 7))
    x = resized(b, b.requantize(b.conv(b.data, 20, 1), 64, 14), 2, 33, bits)
    x = resized(b, b.op("cvm_clip", x, precision=14), 3, 40, bits)
    x = b.shift(b.op("broadcast_mul", x, b.const(b.rng.integers(1, 9, (1, 20, 1, 1)))), 7, 8)
    compare(b.model(b.conv(x, 8, 3)), tmp_path)
    endings = [step.get("ending") for step in runtime.load(tmp_path).plan()["steps"]]
    assert endings[2:4] == ["blend", "blend"]


@pytest.mark.parametrize("groups", [1, 96])
@pytest.mark.parametrize("pad_value", [-127, None])
def test_a_border_table_is_never_gathered(groups: int, pad_value: int | None, tmp_path) -> None:
    """Whether the map is small enough to be computed once or not, is a padding or none."""
    for size in (20, 120):
        b = native_models.Builder((1, 96, size, size), size)
        if pad_value is None:
            y = b.conv(b.data, 96, 3, pad=1, groups=groups, bias=False)
            table = b.const(b.rng.integers(-(10**4), 10**4, (1, 96, 3, 3)))
            kinds = np.ones(size, int)
            kinds[0], kinds[-1] = 0, 2
            bound = b.bounds[y] + 10**4
            y = b.op("broadcast_add", y, taken(b, taken(b, table, 2, kinds), 3, kinds))
            b.bounds[y] = bound
        else:
            y = b.conv(b.data, 96, 3, pad=1, groups=groups, pad_value=pad_value)
        titles = compare(b.model(b.requantize(y, 64, 8)), tmp_path / str(size), batch=1)
        assert len(titles) == 3 and not any(title.startswith("take") for title in titles)  # input, layer, output
        plan = runtime.load(tmp_path / str(size)).plan()
        assert plan["steps"][1]["ending"] == "u8"


@_quick
@given(data=st.data())
def test_a_map_that_is_no_padding_is_added_part_by_part(data, tmp_path) -> None:
    """Rectangles of any size, after convolutions of any kind, before any ending."""
    channels, groups = data.draw(st.sampled_from([(16, 1), (20, 1), (20, 20), (80, 80), (64, 4), (16, 16)]), "channels")
    b = native_models.Builder((1, channels, *data.draw(st.tuples(st.integers(9, 24), st.integers(9, 24)), "size")))
    more = {"stride": data.draw(st.integers(1, 2), "stride"), "dilation": data.draw(st.integers(1, 3), "dilation")}
    y = b.conv(b.data, channels, 3, pad=data.draw(st.integers(0, 3), "pad"), groups=groups, **more)
    bound = b.bounds[y] + 10**4
    _, _, h, w = b.shapes[y]
    table = b.rng.integers(-(10**4), 10**4, (1, channels, 3, 2))
    rows = np.repeat([0, 1, 2], [data.draw(st.integers(0, 2)), h, 2])[:h]
    columns = np.repeat([1, 0, 1], [1, max(w - 2, 1), w])[:w]
    if data.draw(st.booleans(), "whole"):
        full = b.const(table[:, :, rows][:, :, :, columns])
    else:
        full = taken(b, taken(b, b.const(table), 2, rows), 3, columns)
    y = b.op("broadcast_add", full, y, shape=b.shapes[y])
    b.bounds[y] = bound
    wide = b.requantize(y, 64, 16)
    heads = data.draw(st.sampled_from(["wide", "narrow", "both", "program"]), "ending")
    if heads == "program":
        compare(b.model(b.op("relu", b.op("negative", b.requantize(y, 64, 8)))), tmp_path, batch=3)
    else:
        narrow = b.narrow(wide)
        compare(b.model(*{"wide": [wide], "narrow": [narrow], "both": [narrow, wide]}[heads]), tmp_path, batch=3)


@_quick
@given(data=st.data())
def test_channels_become_pixels(data, tmp_path) -> None:
    """As the phases of a deconvolution come together; turned in other ways, too."""
    parts = [data.draw(st.integers(1, 3)) for _ in range(2)]
    order = list(data.draw(st.permutations([1, 2, 3]), "order"))
    parts.insert(data.draw(st.integers(0, 2)), data.draw(st.sampled_from([1, 3, 16, 21]), "channels"))
    h, w = data.draw(st.integers(1, 5), "height"), data.draw(st.integers(1, 5), "width")
    b = native_models.Builder((2, 8, h, w), data.draw(st.integers(0, 99), "seed"))
    x = b.requantize(b.conv(b.data, parts[0] * parts[1] * parts[2], 1), 64, data.draw(st.sampled_from([8, 14])))
    six = (2, *parts, h, w)
    y = b.reshape(x, six)
    regular = data.draw(st.integers(0, 3), "regular") > 0
    axes = (0, order[0], 4, order[1], 5, order[2]) if regular else (0, order[0], order[1], 4, 5, order[2])
    turned = tuple(six[a] for a in axes)
    y = b.op("transpose", y, shape=turned, axes=axes)
    out = (2, turned[1], turned[2] * turned[3], turned[4] * turned[5])
    y = b.reshape(y, out)
    z = b.shift(b.op("broadcast_mul", y, b.const([[[[3]]]])), 3, 8)
    z = b.requantize(b.conv(z, 10, 3, pad=1), 64, 8)
    titles = compare(b.model(*([z, y] if data.draw(st.booleans(), "a head, too") else [z])), tmp_path, batch=3)
    assert not regular or not any(title.startswith(("transpose", "to ")) for title in titles)


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("shared", ["nothing", "two heads", "a reader"])
def test_the_end_of_a_large_picture_is_computed_row_by_row(largest: bool, shared: str, tmp_path) -> None:
    """Both directions of a resizing, the largest channel and what follows it, where nobody else reads these."""
    b = native_models.Builder((1, 5, 40, 50))
    x = b.requantize(b.conv(b.data, 19, 1), 64, 8)
    x = resized(b, x, 2, 161)
    x = last = b.shift(b.op("broadcast_mul", resized(b, x, 3, 203), b.const([[[[3]]]])), 2, 8)
    if largest:
        x = b.op("max", x, shape=(1, 1, 161, 203), axis=1, keepdims=True)
        x = b.op("relu", b.op("negative", x))
    heads = {"nothing": [x], "two heads": [x, x], "a reader": [x, b.pool(last, 3, 2)]}[shared]
    titles = compare(b.model(*heads), tmp_path, batch=2)
    in_rows = [title for title in titles if " > " in title]
    parts = in_rows[0].count(" > ") if in_rows else 0
    assert parts == ((4 if largest else 2) if shared == "nothing" else 0)


@pytest.mark.parametrize("channels", [1, 3, 4, 19, 40])
@pytest.mark.parametrize("bits", [8, 14, 20])
def test_the_first_of_the_largest_channels_of_a_large_picture(channels: int, bits: int, tmp_path) -> None:
    """As argmax is expressed, without the axis of channels; scores of every type that tensors are stored as."""
    b = native_models.Builder((1, 5, 40, 50))
    x = resized(b, b.requantize(b.conv(b.data, channels, 1), 64, min(bits, 14)), 2, 500)
    x = resized(b, b.op("cvm_clip", x, precision=min(bits, 14)), 3, 530)
    x = b.op("cvm_clip", x, precision=min(bits, 14))
    if bits == 20:
        x = b.op("broadcast_mul", x, b.const([[[[64]]]]))
        x = b.op("broadcast_add", x, b.const(np.arange(channels)[::-1].reshape(1, -1, 1, 1)))
    best = b.op("max", x, shape=(1, 1, 500, 530), axis=1, keepdims=True)
    floor = b.shift(b.op("broadcast_sub", best, b.const([[[[32]]]])), 6, 16)
    place = b.op("broadcast_sub", best, b.op("broadcast_mul", floor, b.const([[[[64]]]])))
    place = b.op("broadcast_sub", b.const([[[[channels - 1]]]]), b.op("cvm_clip", place, precision=8))
    titles = compare(b.model(b.op("squeeze", place, shape=(1, 500, 530), axis=1)), tmp_path, batch=1)
    assert titles[-1].count(" > ") == 4  # two directions, the largest, its place, the output
