"""Integer networks in the form that the quantizer emits, with random weights: for tests and for timing."""

from __future__ import annotations

import math

import numpy as np
from cvm import Model, Node

OFFSET = 127  # a ReLU's output x in 0..254 is stored as x - 127


class Builder:
    """Appends nodes to a model; every method returns the index of its node."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0, precision: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.params: dict[str, np.ndarray] = {}
        self.precisions: dict[str, int] = {"data": precision}
        self.shape = shape
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.bounds: dict[int, int] = {}  # largest |value| of a convolution
        self.data = self._add("null", (), {}, shape, "data")

    def model(self, *heads: int) -> Model:
        return Model(self.nodes, [(head, 0) for head in heads], self.params, self.precisions, self.shape)

    def _add(self, op: str, inputs, attrs, shape, name: str | None = None) -> int:
        attrs = {key: str(value) for key, value in attrs.items()}
        self.nodes.append(Node(op, name or f"{op}{len(self.nodes)}", tuple((i, 0) for i in inputs), attrs))
        self.shapes[len(self.nodes) - 1] = tuple(shape)
        return len(self.nodes) - 1

    def const(self, values, precision: int | None = None) -> int:
        values = np.asarray(values, np.int32)
        name = f"p{len(self.nodes)}"
        self.params[name] = values
        self.precisions[name] = precision or max(int(np.abs(values.astype(np.int64)).max()).bit_length() + 1, 2)
        return self._add("null", (), {}, values.shape, name)

    def op(self, op: str, *inputs: int, shape=None, **attrs) -> int:
        """Any operator; `shape` where it is not the first input's."""
        return self._add(op, inputs, attrs, shape or self.shapes[inputs[0]])

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        """For any batch."""
        return self._add("reshape", (x,), {"shape": (-1, *shape[1:])}, shape)

    def shift(self, x: int, bits: int, precision: int = 8) -> int:
        return self.op("cvm_right_shift", x, precision=precision, shift_bit=bits)

    def conv(
        self, x: int, channels: int, kernel, stride=1, pad=0, groups=1, dilation=1, pad_value=0, bias=True, bound=127
    ) -> int:
        """conv2d; a `pad_value` is expressed by a map computed from constants, as the quantizer does."""
        n, c, h, w = self.shapes[x]
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        oh = (h + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
        ow = (w + 2 * pad - dilation * (kw - 1) - 1) // stride + 1
        weights = self.rng.integers(-bound, bound + 1, (channels, c // groups, kh, kw))
        biases = self.rng.integers(-5000, 5001, channels) if bias else np.zeros(channels, np.int64)
        as_map = pad > 0 and pad_value != 0
        inputs = [x, self.const(weights, 8)]
        if bias and not as_map:
            inputs.append(self.const(biases))
        attrs = {"channels": channels, "kernel_size": (kh, kw), "strides": (stride, stride), "padding": (pad, pad)}
        attrs |= {"dilation": (dilation, dilation), "groups": groups, "use_bias": bias and not as_map}
        y = self._add("conv2d", inputs, attrs, (n, channels, oh, ow))
        bound = int((np.abs(weights).sum(axis=(1, 2, 3)) * 127 + np.abs(biases)).max())
        self.bounds[y] = bound
        if not as_map:
            return y
        # The taps in the padding, per distinct row and column pattern.
        rows = [tuple(not 0 <= i * stride - pad + k * dilation < h for k in range(kh)) for i in range(oh)]
        cols = [tuple(not 0 <= i * stride - pad + k * dilation < w for k in range(kw)) for i in range(ow)]
        row_kinds, col_kinds = sorted(set(rows)), sorted(set(cols))
        sums = weights.sum(axis=1)
        table = np.zeros((1, channels, len(row_kinds), len(col_kinds)), np.int64)
        for i, r in enumerate(row_kinds):
            for j, q in enumerate(col_kinds):
                outside = np.array(r)[:, None] | np.array(q)[None, :]
                table[0, :, i, j] = biases + pad_value * (sums * outside).sum(axis=(1, 2))
        t = self.const(table)
        t = self._add(
            "take", (t, self.const([row_kinds.index(r) for r in rows])), {"axis": 2}, (1, channels, oh, len(col_kinds))
        )
        t = self._add("take", (t, self.const([col_kinds.index(q) for q in cols])), {"axis": 3}, (1, channels, oh, ow))
        y = self._add("broadcast_add", (y, t), {}, (n, channels, oh, ow))
        self.bounds[y] = bound
        return y

    def requantize(self, y: int, terms: int, precision: int = 8, clip: bool = True) -> int:
        """Multiply by small integers per channel and shift: the clip of the shift at -127 is the ReLU."""
        channels = self.shapes[y][1]
        multiplier = self.rng.integers(8, 16, (1, channels, 1, 1))
        if clip:  # changes no value: it only tells the target the true precision
            y = self.op("cvm_clip", y, precision=self.bounds[y].bit_length() + 1)
        y = self.op("broadcast_mul", y, self.const(multiplier))
        spread = math.sqrt(terms) * 73 * 73 * 12
        target = 2 ** (precision - 1) / 3
        return self.shift(y, max(1, round(math.log2(spread / target))), precision)

    def conv8(self, x: int, channels: int, kernel: int, stride=1, pad=0, groups=1, offset=True, **more) -> int:
        """A convolution from 8 bits to 8 bits."""
        terms = self.shapes[x][1] // groups * kernel * kernel
        y = self.conv(x, channels, kernel, stride, pad, groups, pad_value=-OFFSET if offset else 0, **more)
        return self.requantize(y, terms)

    def pool(self, x: int, kernel: int, stride: int, pad: int = 0, ceil: bool = False) -> int:
        n, c, h, w = self.shapes[x]
        size = [((s + 2 * pad - kernel + (stride - 1 if ceil else 0)) // stride + 1) for s in (h, w)]
        attrs = {"pool_size": (kernel, kernel), "strides": (stride, stride), "padding": (pad, pad), "ceil_mode": ceil}
        return self._add("max_pool2d", (x,), attrs, (n, c, *size))

    def global_pool(self, x: int) -> int:
        n, c, h, w = self.shapes[x]
        y = self._add("sum", (x,), {"axis": "(2, 3)", "keepdims": "True"}, (n, c, 1, 1))
        y = self.op("broadcast_mul", y, self.const([[[[max(1, 4096 // (h * w))]]]]))
        return self.shift(y, 12)

    def dense(self, x: int, units: int) -> int:
        n = self.shapes[x][0]
        k = int(np.prod(self.shapes[x][1:]))
        flat = self._add("flatten", (x,), {}, (n, k))
        w = self.const(self.rng.integers(-127, 128, (units, k)), 8)
        b = self.const(self.rng.integers(-5000, 5001, units))
        return self._add("dense", (flat, w, b), {"units": units}, (n, units))

    def residual(self, wide: int, shortcut: int) -> int:
        """The sum of two 16-bit streams, rectified."""
        return self.op("relu", self.op("elemwise_add", wide, shortcut))

    def narrow(self, wide: int) -> int:
        """16 bits back to 8, stored minus 127."""
        y = self.op("broadcast_mul", wide, self.const([[[[5]]]]))
        y = self.op("broadcast_add", y, self.const([[[[-OFFSET * 512]]]]))
        return self.shift(y, 9)

    def concat(self, *parts: int) -> int:
        n, _, h, w = self.shapes[parts[0]]
        return self._add("concatenate", parts, {"axis": 1}, (n, sum(self.shapes[p][1] for p in parts), h, w))


def resnet50(size: int = 224, seed: int = 0) -> Model:
    b = Builder((1, 3, size, size), seed)
    x = b.conv8(b.data, 64, 7, 2, 3, offset=False)
    x = wide = b.pool(x, 3, 2, 1)
    for stage, (blocks, channels) in enumerate(((3, 256), (4, 512), (6, 1024), (3, 2048))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = b.conv8(x, channels // 4, 1, stride)
            y = b.conv8(y, channels // 4, 3, 1, 1)
            y = b.requantize(b.conv(y, channels, 1), channels // 4, 14)
            if block == 0:
                wide = b.requantize(b.conv(x, channels, 1, stride), b.shapes[x][1], 14)
            wide = b.residual(y, wide)
            x = b.narrow(wide)
    return b.model(b.dense(b.global_pool(x), 1000))


def resnet18(size: int = 224, seed: int = 0) -> Model:
    b = Builder((1, 3, size, size), seed)
    x = b.pool(b.conv8(b.data, 64, 7, 2, 3, offset=False), 3, 2, 1)
    return _basic(b, x, ((2, 64), (2, 128), (2, 256), (2, 512)), 1000)


def cifar_resnet20(seed: int = 0) -> Model:
    b = Builder((1, 3, 32, 32), seed)
    x = b.conv8(b.data, 16, 3, 1, 1, offset=False)
    return _basic(b, x, ((3, 16), (3, 32), (3, 64)), 10)


def _basic(b: Builder, x: int, stages, classes: int) -> Model:
    wide = b.op("cvm_left_shift", x, precision=14, shift_bit=5)
    for stage, (blocks, channels) in enumerate(stages):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = b.conv8(x, channels, 3, stride, 1)
            y = b.requantize(b.conv(y, channels, 3, 1, 1, pad_value=-OFFSET), channels * 9, 14)
            if stride == 2:
                wide = b.requantize(b.conv(x, channels, 1, stride), b.shapes[x][1], 14)
            wide = b.residual(y, wide)
            x = b.narrow(wide)
    return b.model(b.dense(b.global_pool(x), classes))


def mobilenet(size: int = 224, seed: int = 0) -> Model:
    b = Builder((1, 3, size, size), seed)
    x = b.conv8(b.data, 32, 3, 2, 1, offset=False)
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for channels, stride in plan:
        x = b.conv8(x, b.shapes[x][1], 3, stride, 1, groups=b.shapes[x][1])
        x = b.conv8(x, channels, 1)
    return b.model(b.dense(b.global_pool(x), 1000))


def mobilenet_v2(size: int = 224, seed: int = 0) -> Model:
    b = Builder((1, 3, size, size), seed)
    x = wide = b.conv8(b.data, 32, 3, 2, 1, offset=False)
    for t, channels, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for i in range(count):
            hidden = b.shapes[x][1] * t
            y = b.conv8(x, hidden, 1) if t > 1 else x
            y = b.conv8(y, hidden, 3, stride if i == 0 else 1, 1, groups=hidden)
            y = b.requantize(b.conv(y, channels, 1), hidden, 14)
            wide = y if i == 0 else b.op("elemwise_add", y, wide)
            x = b.shift(wide, 7)
    x = b.conv8(x, 1280, 1)
    return b.model(b.dense(b.global_pool(x), 1000))


def squeezenet(size: int = 224, seed: int = 0) -> Model:
    b = Builder((1, 3, size, size), seed)
    x = b.pool(b.conv8(b.data, 96, 7, 2, 0, offset=False), 3, 2, 0, True)
    for i, channels in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        s = b.conv8(x, channels, 1)
        x = b.concat(b.conv8(s, channels * 4, 1), b.conv8(s, channels * 4, 3, 1, 1))
        if i in (2, 6):
            x = b.pool(x, 3, 2, 0, True)
    x = b.conv8(x, 1000, 1)
    return b.model(b.global_pool(x))


NETS = {
    "resnet50_v1": resnet50,
    "mobilenet1.0": mobilenet,
    "resnet18_v1": resnet18,
    "squeezenet1.0": squeezenet,
    "mobilenetv2_1.0": mobilenet_v2,
    "cifar_resnet20_v1": cifar_resnet20,
}


def random_net(rng: np.random.Generator, layers: int = 7) -> Model:
    """Layers, joins and odd shapes at random: what fusion, borders, tails and layouts have to get right."""
    size = tuple(int(v) for v in rng.integers(5, 14, 2))
    b = Builder((1, int(rng.choice([1, 3, 4, 5, 16, 17])), *size), int(rng.integers(1 << 30)))
    tensors = [b.data]  # 8 bits each
    for _ in range(layers):
        x = tensors[int(rng.integers(max(0, len(tensors) - 3), len(tensors)))]
        tensors.append(_random_layer(b, rng, x, tensors))
    x = tensors[-1]
    heads = [x]
    kind = rng.choice(["maps", "dense", "global", "several"])
    if kind == "dense" and np.prod(b.shapes[x]) > 1 << 14:  # more terms could leave 32 bits
        kind = "global"
    if kind == "dense":
        heads = [b.dense(x, int(rng.choice([1, 10, 33])))]
    if kind == "global":
        heads = [b.dense(b.global_pool(x), 17)]
    if kind == "several":
        heads = [x, tensors[len(tensors) // 2], b.op("negative", x)]
    return b.model(*heads)


def _random_layer(b: Builder, rng: np.random.Generator, x: int, tensors: list[int]) -> int:
    n, c, h, w = b.shapes[x]
    kind = rng.choice(
        ["conv"] * 5 + ["depthwise"] * 2 + ["pool", "residual", "concat", "excite", "lut", "odd", "upsample"]
    )
    if kind in ("conv", "depthwise"):
        groups = c if kind == "depthwise" else int(rng.choice([g for g in (1, 1, 1, 2, 3, 4, 8) if c % g == 0]))
        channels = c if kind == "depthwise" else groups * int(rng.integers(1, 80 // groups))
        kernel = tuple(int(min(k, s)) for k, s in zip(rng.choice([1, 1, 2, 3, 3, 5], 2), (h, w)))
        pad, stride = int(rng.integers(0, 3)), int(rng.integers(1, 3))
        dilation = int(rng.choice([1, 1, 2])) if min(h, w) > 2 * max(kernel) else 1
        value = int(rng.choice([0, -127, -127, 5]))
        bias = bool(rng.random() < 0.7)
        y = b.conv(x, channels, kernel, stride, pad, groups, dilation, value, bias)
        terms = c // groups * kernel[0] * kernel[1]
        how = rng.choice(["plain", "preshift", "relu", "bare"])
        if how == "preshift":
            y = b.shift(y, 2, b.bounds[y].bit_length())
            return b.shift(b.op("broadcast_mul", y, b.const(rng.integers(-9, 10, (channels, 1, 1)))), 9)
        if how == "relu":
            y = b.op("relu", y)
            return b.op("cvm_clip", b.op("relu", b.shift(y, 8, 12)), precision=8)
        if how == "bare":
            return b.op("cvm_clip", y, precision=8)
        return b.requantize(y, terms, clip=bool(rng.random() < 0.5) or terms > 500)
    same = [t for t in tensors if b.shapes[t] == b.shapes[x]]
    grid = [t for t in tensors if b.shapes[t][2:] == (h, w) and t != b.data]
    if kind == "pool" and min(h, w) > 2:
        return b.pool(x, int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(0, 2)))
    if kind == "residual":
        wide = b.residual(b.op("cvm_left_shift", x, precision=14, shift_bit=6), same[int(rng.integers(len(same)))])
        return b.narrow(wide) if rng.random() < 0.5 else b.shift(b.op("elemwise_sub", wide, x), 7)
    if kind == "concat" and len(grid) > 1:
        return b.concat(*(int(t) for t in rng.choice(grid, int(rng.integers(1, 4)))))
    if kind == "excite":
        return b.shift(b.op("broadcast_mul", x, b.global_pool(x)), 6)
    if kind == "lut":
        index = b.op("broadcast_add", x, b.const([127]))
        table = b.const(rng.integers(-127, 128, 255), 8)
        return b.op("cvm_lut", index, table, in_dim=255)
    if kind == "odd":
        flipped = b.op("transpose", x, shape=(n, c, w, h), axes="(0, 1, 3, 2)")
        per_row = b.const(rng.integers(-100, 101, (1, 1, w, 1)), 8)
        y = b.op("broadcast_max", b.op("broadcast_sub", flipped, per_row), b.const(rng.integers(-50, 51, (c, 1, h))))
        y = b.op("cvm_clip", b.op("abs", y), precision=8)
        return b.op("transpose", y, shape=(n, c, h, w), axes="(0, 1, 3, 2)")
    if kind == "upsample" and h * w < 100:
        return b.op("upsampling", x, shape=(n, c, 2 * h, 2 * w), scale=2)
    return b.op("negative", x)
