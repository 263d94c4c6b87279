"""Small ONNX models, made as exporters make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mrt.graph import Array

RNG = np.random.default_rng(7)


def weights(*shape: int) -> Array:
    """Random weights that keep the size of what they are multiplied with."""
    fan_in = max(1, int(np.prod(shape[1:])))
    return (RNG.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def ints(*values: int) -> Array:
    """A shape, axes and the like."""
    return np.array(values, np.int64)


def model(
    nodes: Sequence[Any],
    constants: Mapping[str, Array],
    shape: Sequence[Any] = ("N", 3, 16, 16),
    opset: int = 17,
    output: str = "y",
    elem: int = TensorProto.FLOAT,
) -> Any:
    """A model from x to y."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", elem, list(shape))],
        [helper.make_empty_tensor_value_info(output)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def node(op: str, inputs: str, outputs: str, **attrs: Any) -> Any:
    """A node; names are split by spaces."""
    return helper.make_node(op, inputs.split(" "), outputs.split(" "), **attrs)


def mobile() -> Any:
    """Convolution, BatchNorm, hard-swish by hand, squeeze-and-excite, a Shape → Slice → Concat → Reshape chain."""
    nodes = [
        node("Conv", "x w0", "c0", strides=[2, 2], auto_pad="SAME_UPPER"),
        node("BatchNormalization", "c0 g b m v", "n0"),
        node("Add", "n0 three", "a0"),
        node("Clip", "a0 zero six", "a1"),
        node("Mul", "n0 a1", "a2"),
        node("Div", "a2 six", "a3"),
        node("GlobalAveragePool", "a3", "p0"),
        node("Conv", "p0 w1 b1", "p1"),
        node("HardSigmoid", "p1", "p2", alpha=0.2, beta=0.5),
        node("Mul", "a3 p2", "s0"),
        node("Conv", "s0 w2", "d0", pads=[1, 1, 1, 1], group=8),
        node("Resize", "d0  scales", "u0", mode="linear", coordinate_transformation_mode="half_pixel"),
        node("AveragePool", "u0", "q0", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1),
        node("Shape", "q0", "h0"),
        node("Slice", "h0 i0 i1", "h1"),
        node("Concat", "h1 minus", "h2", axis=0),
        node("Reshape", "q0 h2", "f0"),
        node("Gemm", "f0 w3 b3", "y", transB=1),
    ]
    constants = {
        "w0": weights(8, 3, 3, 3),
        **{"g": 1 + weights(8) / 4, "b": weights(8) / 4, "m": weights(8) / 4, "v": 1 + np.abs(weights(8))},
        **{"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)},
        **{"w1": weights(8, 8, 1, 1), "b1": weights(8), "w2": weights(8, 1, 3, 3)},
        "scales": np.array([1, 1, 2, 2], np.float32),
        **{"i0": ints(0), "i1": ints(1), "minus": ints(-1)},
        **{"w3": weights(10, 512), "b3": weights(10)},
    }
    return model(nodes, {name: np.asarray(array) for name, array in constants.items()})


def attention() -> Any:
    """Two heads over 12 steps of 16 numbers, a class token, LayerNormalization and Gelu by Erf."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axis0", "n1"),
        node("Concat", "n1 one one", "reps", axis=0),
        node("Expand", "token reps", "t"),
        node("Concat", "t x", "h", axis=1),
        node("LayerNormalization", "h g b", "l", axis=-1, epsilon=1e-5),
        *[item for part in "qkv" for item in _heads(part)],
        node("Transpose", "k4", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q4 kt", "e0"),
        node("Mul", "e0 scale", "e1"),
        node("Softmax", "e1", "e2", axis=-1),
        node("MatMul", "e2 v4", "o0"),
        node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]),
        node("Reshape", "o1 flat", "o2"),
        node("MatMul", "o2 wo", "o3"),
        node("Add", "h o3", "r"),
        node("Div", "r root", "g0"),
        node("Erf", "g0", "g1"),
        node("Add", "g1 unit", "g2"),
        node("Mul", "r g2", "g3"),
        node("Mul", "g3 half", "g4"),
        node("Gather", "g4 zero", "c", axis=1),
        node("MatMul", "c wc", "y"),
    ]
    constants = {
        **{"zero": np.array(0, np.int64), "axis0": ints(0), "one": ints(1), "token": weights(1, 1, 16)},
        **{"g": 1 + weights(16) / 4, "b": weights(16) / 4, "shape": ints(0, 13, 2, 8), "flat": ints(0, 0, 16)},
        **{f"w{part}": weights(16, 16) for part in "qkvo"},
        **{"scale": np.float32(8**-0.5), "root": np.float32(2**0.5), "unit": np.float32(1), "half": np.float32(0.5)},
        "wc": weights(16, 5),
    }
    return model(nodes, {name: np.asarray(array) for name, array in constants.items()}, ("N", 12, 16))


def _heads(part: str) -> list[Any]:
    return [
        node("MatMul", f"l w{part}", f"{part}1"),
        node("Reshape", f"{part}1 shape", f"{part}3"),
        node("Transpose", f"{part}3", f"{part}4", perm=[0, 2, 1, 3]),
    ]


def recurrent() -> Any:
    """A bidirectional LSTM and a GRU over 6 steps, then the last step's classes."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("LSTM", "t w r b", "l", hidden_size=5, direction="bidirectional"),
        node("Transpose", "l", "l1", perm=[0, 2, 1, 3]),
        node("Reshape", "l1 shape", "l2"),
        node("GRU", "l2 w2 r2 b2", " h", hidden_size=4, linear_before_reset=1),
        node("Squeeze", "h axis0", "h1"),
        node("Gemm", "h1 w3", "y"),
    ]
    constants = {
        **{"w": weights(2, 20, 3), "r": weights(2, 20, 5), "b": weights(2, 40), "shape": ints(0, 0, -1)},
        **{"w2": weights(1, 12, 10), "r2": weights(1, 12, 4), "b2": weights(1, 24), "axis0": ints(0)},
        "w3": weights(4, 3),
    }
    return model(nodes, constants, ("N", 6, 3))


def segments() -> Any:
    """Down by strides, up by ConvTranspose and nearest Resize with sizes from shapes; exported for one sample."""
    nodes = [
        node("Conv", "x w0 b0", "c0", strides=[2, 2], pads=[1, 1, 0, 0]),
        node("PRelu", "c0 slope", "c1"),
        node("MaxPool", "c1", "c2", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("ConvTranspose", "c2 w1", "u0", strides=[2, 2], pads=[0, 0, 1, 1], output_padding=[1, 1]),
        node("Shape", "c1", "s"),
        node(
            "Resize", "u0   s", "u1", mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
        ),
        node("Concat", "u1 c1", "u2", axis=1),
        node("Conv", "u2 w2", "m", kernel_shape=[1, 1]),
        node("Sigmoid", "m", "m1"),
        node("Reshape", "m1 shape", "y"),
    ]
    constants = {
        **{"w0": weights(6, 3, 3, 3), "b0": weights(6), "slope": np.abs(weights(6, 1, 1)), "w1": weights(6, 6, 2, 2)},
        **{"w2": weights(2, 12, 1, 1), "shape": ints(1, 2, 64)},
    }
    return model(nodes, constants, (1, 3, 16, 16))


WHOLE = {"mobile": mobile, "attention": attention, "recurrent": recurrent, "segments": segments}
