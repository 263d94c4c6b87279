"""Brings operators of MXNet's other dialects to their classic names, and all to 32-bit floats.

_npi_true_divide_scalar(x, scalar=2)    =>   _div_scalar(x, scalar=2)       of networks exported under npx.set_np()
_contrib_SyncBatchNorm(x, …)            =>   BatchNorm(x, …)                which differ in training only
Cast(x, dtype=float16), amp_cast(x)     =>   Cast(x, dtype=float32), x      of networks trained in half precision
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrt.errors import MRTError
from mrt.graph import Array, Graph, Node, Value
from mrt.graph.attrs import integers, refuse
from mrt.transform.base import Pass

_FLOATS = ("float16", "float64", "bfloat16")

_NAMES = {
    "_contrib_SyncBatchNorm": "BatchNorm",
    "_np_copy": "identity",
    "_np_max": "max",
    "_np_min": "min",
    "_np_repeat": "repeat",
    "_np_squeeze": "squeeze",
    "_np_sum": "sum",
    "_np_transpose": "transpose",
    "_npi_absolute": "abs",
    "_npi_add": "broadcast_add",
    "_npi_add_scalar": "_plus_scalar",
    "_npi_broadcast_to": "broadcast_to",
    "_npi_cast": "Cast",
    "_npi_clip": "clip",
    "_npi_concatenate": "Concat",
    "_npi_expand_dims": "expand_dims",
    "_npi_flip": "reverse",
    "_npi_greater": "broadcast_greater",
    "_npi_greater_equal": "broadcast_greater_equal",
    "_npi_greater_equal_scalar": "_greater_equal_scalar",
    "_npi_greater_scalar": "_greater_scalar",
    "_npi_less": "broadcast_lesser",
    "_npi_less_equal": "broadcast_lesser_equal",
    "_npi_less_equal_scalar": "_lesser_equal_scalar",
    "_npi_less_scalar": "_lesser_scalar",
    "_npi_mean": "mean",
    "_npi_multiply": "broadcast_mul",
    "_npi_multiply_scalar": "_mul_scalar",
    "_npi_ones": "_ones",
    "_npi_power_scalar": "_power_scalar",
    "_npi_rpower_scalar": "_rpower_scalar",
    "_npi_rsubtract_scalar": "_rminus_scalar",
    "_npi_rtrue_divide_scalar": "_rdiv_scalar",
    "_npi_slice": "slice",
    "_npi_split": "_split_v2",
    "_npi_stack": "stack",
    "_npi_subtract": "broadcast_sub",
    "_npi_subtract_scalar": "_minus_scalar",
    "_npi_tile": "tile",
    "_npi_true_divide": "broadcast_div",
    "_npi_true_divide_scalar": "_div_scalar",
    "_npi_where": "where",
    "_npi_zeros": "_zeros",
    "_npx_activation": "Activation",
    "_npx_cast": "Cast",
    "_npx_convolution": "Convolution",
    "_npx_deconvolution": "Deconvolution",
    "_npx_embedding": "Embedding",
    "_npx_fully_connected": "FullyConnected",
    "_npx_one_hot": "one_hot",
    "_npx_pooling": "Pooling",
    "_npx_relu": "relu",
    "_npx_rnn": "RNN",
    "_npx_sigmoid": "sigmoid",
    "_npx_slice": "slice",
    **{f"_npi_{name}": name for name in ("exp", "expm1", "log", "log10", "log1p", "log2", "negative", "reciprocal")},
    **{f"_npi_{name}": name for name in ("sqrt", "square", "tanh", "sin", "cos", "sinh", "cosh", "arctan", "arcsinh")},
    "_npi_cbrt": "cbrt",
}
"""The dialects' names of operators whose attributes are the classic ones, or differ as `_attributes` says."""

_DROPPED = {"_contrib_SyncBatchNorm": ("key", "ndev"), "_np_sum": ("initial", "dtype"), "_npi_mean": ("dtype",)}
_RESHAPE_CODES = {-2: 0, -1: -1, -4: -2, -5: -3, -6: -4}
"""npx.reshape's codes in Reshape's: copy an axis, infer, copy the rest, merge two, split one."""


class ClassicOperators(Pass):
    """Leaves no operator of MXNet's NumPy front end that has a classic name, and no float type but float32."""

    name = "classic_operators"

    def run(self, graph: Graph) -> Graph:
        """The same network."""

        read: dict[Node, int] = {}
        for value in graph.use_counts():
            read[value.node] = max(read.get(value.node, 0), value.index)

        def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            if node.op == "amp_cast":
                return [inputs[0]]
            if node.op == "amp_multicast":
                return inputs
            op, attrs = _classic(node)
            if (op, attrs) == (node.op, dict(node.attrs)):
                return None
            renamed = replace(node, op=op, attrs=attrs, inputs=inputs)
            return [Value(renamed, index) for index in range(read[node] + 1)]

        params = {name: _as_float(name, array) for name, array in graph.params.items()}
        return Graph(graph.outputs, params, graph.inputs).rebuild(visit)


def _as_float(name: str, array: Array) -> Array:
    """A parameter in 32-bit floats.

    Raises:
        MRTError: they do not hold its whole numbers.
    """
    result = array.astype(np.float32, copy=False)
    if array.dtype.kind in "iu" and (result.astype(np.float64) != array).any():
        raise MRTError(f"parameter {name}: it has whole numbers of more than 24 bits, which a float cannot hold")
    return result


def _classic(node: Node) -> tuple[str, dict[str, str]]:
    """Operator and attributes under their classic names."""
    attrs = {key: "float32" if key == "dtype" and text in _FLOATS else text for key, text in node.attrs.items()}
    if node.is_variable:
        attrs.pop("__dtype__", None)
    if node.op in ("_np_reshape", "_npi_reshape", "_npx_reshape"):
        return "Reshape", {"shape": str(_reshape(node))}
    if node.op not in _NAMES:
        return node.op, attrs
    attrs = {key: text for key, text in attrs.items() if key not in _DROPPED.get(node.op, ())}
    attrs = {key: text for key, text in attrs.items() if text != "None" or key not in ("axis", "axes")}
    if node.op == "_npi_concatenate":
        attrs = {"dim": attrs.get("axis", "0"), "num_args": str(len(node.inputs))}
    return _NAMES[node.op], attrs


def _reshape(node: Node) -> tuple[int, ...]:
    """The shape in Reshape's codes."""
    wanted = integers(node, "newshape")
    if node.op != "_npx_reshape":
        return wanted
    codes: list[int] = []
    splitting = 0
    for code in wanted:
        if splitting or code >= 0:  # the two parts of a split are plain sizes
            splitting = max(0, splitting - 1)
            codes.append(code)
        elif code not in _RESHAPE_CODES:
            raise refuse(node, f"newshape={wanted}: {code} is not supported")
        else:
            splitting = 2 if code == -6 else 0
            codes.append(_RESHAPE_CODES[code])
    return tuple(codes)
