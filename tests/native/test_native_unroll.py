"""Pixels that become rows: channel-last order by reshapes and transposes, and what is made of the rows."""

from __future__ import annotations

import native_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import compare

_quick = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def head(b: native_models.Builder, channels: int, size: tuple[int, int], bits: int = 8) -> int:
    """A layer on the input's first pixels."""
    n, c = b.shape[:2]
    x = b.op("strided_slice", b.data, shape=(n, c, *size), begin=(0, 0, 0, 0), end=(n, c, *size))
    return b.requantize(b.conv(x, channels, 1), 16, bits)


def channel_last(b: native_models.Builder, x: int, planes: bool) -> int:
    """(n, h, w, c), or (n, h * w, c) where the pixels become one axis before."""
    n, c, h, w = b.shapes[x]
    if planes:
        return b.op("transpose", b.reshape(x, (n, c, h * w)), shape=(n, h * w, c), axes=(0, 2, 1))
    return b.op("transpose", x, shape=(n, h, w, c), axes=(0, 2, 3, 1))


@_quick
@given(data=st.data())
def test_channel_last_order_in_every_shape(data, tmp_path) -> None:
    n, c = 2, data.draw(st.sampled_from([1, 4, 16, 21, 84]), "channels")
    h, w = data.draw(st.integers(1, 7), "height"), data.draw(st.integers(1, 40), "width")
    b = native_models.Builder((n, 16, 7, 40), data.draw(st.integers(0, 99), "seed"))
    x = head(b, c, (h, w), data.draw(st.sampled_from([8, 14]), "bits"))
    turned = y = channel_last(b, x, data.draw(st.booleans(), "planes"))
    shapes = {
        "as it is": b.shapes[turned],
        "pictures": (n, h * w * c),
        "pixels": (n * h * w, c),
        "anchors": (n, h * w * c, 1),
        "rows of pixels": (n * h, w * c),
        "channel-first": (n, w * c, h, 1),
    }
    y = b.reshape(turned, shapes[data.draw(st.sampled_from(sorted(shapes)), "shape")])
    heads = [y]
    if len(b.shapes[y]) in (2, 4) and data.draw(st.booleans(), "computed with"):
        heads.append(b.op("relu", b.op("negative", y)))
    if len(b.shapes[y]) == 2 and b.shapes[y][0] == n:
        heads.append(b.dense(b.op("cvm_clip", y, precision=8), 5))
    if data.draw(st.booleans(), "scalar operator"):
        heads.append(b.op("repeat", y, shape=(2 * b.shapes[y][0], *b.shapes[y][1:]), axis=0, repeats=2))
    if data.draw(st.booleans(), "channel-last, too"):
        heads += [turned, x]
    compare(b.model(*heads), tmp_path, batch=3)


@_quick
@given(data=st.data())
def test_concatenated_rows(data, tmp_path) -> None:
    """Of several layers, of constants and of what is no row, each aligned or not; concatenated once more."""
    n, deep = 2, data.draw(st.sampled_from([0, 4]), "last axis")
    b = native_models.Builder((n, 16, 6, 9), data.draw(st.integers(0, 99), "seed"))

    def rows(x: int) -> int:
        count = b.shapes[x][1] * b.shapes[x][2] * b.shapes[x][3]
        y = channel_last(b, x, data.draw(st.booleans()))
        return b.reshape(y, (n, count // deep, deep) if deep else (n, count))

    def part() -> int:
        kind = data.draw(st.sampled_from(["rows", "rows", "rows", "layer", "plain"]), "part")
        channels = 4 * data.draw(st.sampled_from([1, 4, 6, 21]), "channels")
        bits = data.draw(st.sampled_from([8, 8, 14]), "bits")
        size = (data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9)))
        if kind == "layer":
            x = head(b, channels, (1, 1), bits)
            return b.reshape(x, (n, channels // deep, deep) if deep else (n, channels))
        if kind == "plain":  # row-major order of the layer
            x = head(b, channels, size, bits)
            count = channels * size[0] * size[1]
            return b.reshape(x, (n, count // deep, deep) if deep else (n, count))
        return rows(head(b, channels, size, bits))

    def joined(*parts: int) -> int:
        shape = b.shapes[parts[0]]
        return b.op("concatenate", *parts, shape=(n, sum(b.shapes[p][1] for p in parts), *shape[2:]), axis=1)

    parts = [part() for _ in range(data.draw(st.integers(1, 4), "parts"))]
    whole = joined(*parts)
    heads = [whole]
    if data.draw(st.booleans(), "again"):
        heads = [joined(part(), whole, part()), *heads]
    if data.draw(st.booleans(), "a part, too"):
        heads.append(parts[0])
    if not deep and data.draw(st.booleans(), "computed with"):
        heads.append(b.op("relu", b.op("negative", whole)))
    compare(b.model(*heads), tmp_path, batch=3)


def test_a_detectors_head_is_a_copy_per_layer(tmp_path) -> None:
    """Nothing is brought to row-major order, and nothing is copied twice."""
    n, layers = 1, [(84, (6, 9)), (126, (3, 4)), (16, (2, 2)), (24, (1, 1))]
    for last in ((), (4,), (2, 2, 1)):
        b = native_models.Builder((n, 16, 6, 9))
        parts = []
        for channels, size in layers:
            count = channels * size[0] * size[1]
            x = channel_last(b, head(b, channels, size), planes=channels == 126)
            parts.append(b.reshape(x, (n, count // 4, *last) if last else (n, count)))
        shape = (n, sum(b.shapes[p][1] for p in parts), *last)
        titles = compare(b.model(b.op("concatenate", *parts, shape=shape, axis=1)), tmp_path / str(last), batch=2)
        rest = [title for title in titles if not title.startswith(("input", "strided_slice", "conv2d"))]
        assert [title.split()[0] for title in rest] == ["unroll"] * 4 + ["output"]
