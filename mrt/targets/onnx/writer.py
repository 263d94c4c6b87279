"""Nodes and constants of an ONNX graph, and what rules know of the tensors they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

import numpy as np
import onnx
from cvm.ops.base import Array

from mrt.errors import MRTError
from mrt.graph import Namer

Dims = tuple[Union[int, str], ...]
"""A shape; what follows the batch is a text, such as "N" or "4*N"."""
EXACT = 2**24
"""Every integer of at most this magnitude is a float32."""
_FEW = 64  # numbers in a constant that is written as it is read
Numbers = Union[Array, Sequence[Any], int, float]


class BoundError(MRTError):
    """The graph is bound to one batch."""


def size(dim: int | str) -> int:
    """A dimension that is the same for any batch; `BoundError` for others."""
    if isinstance(dim, str):
        raise BoundError(f"what it does depends on the batch ({dim})")
    return dim


class Made(NamedTuple):
    """A result of a rule: where it is, whether in float32 (else in int32), and how large sums on the way to it get."""

    name: str
    is_float: bool
    reach: int = 0


@dataclass(frozen=True)
class Tensor:
    """A tensor of whole numbers.

    Attributes:
        name: in the ONNX graph.
        dims: its shape, for any batch.
        low: its smallest possible value.
        high: its largest.
        reach: the largest magnitude of the sums and products that give it, in any order. An engine may join layers.
        is_float: whether it is kept in float32, which holds all its values, else in int32.
        known: its values, of a parameter, which is written where it is first read.
    """

    name: str
    dims: Dims
    low: int
    high: int
    reach: int
    is_float: bool
    known: Array | None = None

    @property
    def magnitude(self) -> int:
        """Its largest possible absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def fits_float(self) -> bool:
        """Whether float32 holds every value."""
        return self.magnitude <= EXACT


class Writer:
    """Appends nodes and constants; each is written once, however often it is asked for.

    Args:
        beside: another one of the same graph, whose names it does not use.

    Attributes:
        unique: gives a name, with a number behind it where it is taken.
    """

    def __init__(self, beside: Writer | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.part = ""
        self.unique: Namer = beside.unique if beside else Namer()
        self._same: dict[object, str] = {}
        self._made_by: dict[str, object] = {}

    def constant(self, values: Array, name: str = "") -> str:
        """The name of a constant; those of one given name, type and shape are the same."""
        key = (name, values.dtype.str, values.shape, values.tobytes() if not name else b"")
        if key not in self._same:
            self._same[key] = self.unique(name or f"{self.part}/const")
            self.constants[self._same[key]] = onnx.numpy_helper.from_array(values, self._same[key])
        return self._same[key]

    def op(self, kind: str, *inputs: str, **attrs: Any) -> str:
        """The name of the output of a node."""
        return self.ops(kind, inputs, 1, **attrs)[0]

    def ops(self, kind: str, inputs: Iterable[str], outputs: int, **attrs: Any) -> list[str]:
        """The names of the outputs of a node."""
        key = (kind, tuple(inputs), outputs, repr(attrs))
        if key not in self._same:
            first = self._same[key] = self.unique(f"{self.part}/{kind}")
            self._made_by[first] = key
            names = [first, *(f"{first}_output{i}" for i in range(1, outputs))]
            self.nodes.append(onnx.helper.make_node(kind, list(inputs), names, first, **attrs))
        first = self._same[key]
        return [first, *(f"{first}_output{i}" for i in range(1, outputs))]

    def rename(self, start: int, old: str, new: str, doc: str) -> str:
        """Call an output of a node after `start` by a name of its own; one of an earlier node keeps what it has."""
        found = [node for node in self.nodes[start:] if old in node.output]
        if not found:
            return old
        name = self.unique(new)
        for node in self.nodes[start:]:
            node.input[:] = [name if each == old else each for each in node.input]
        node = found[0]
        node.output[:] = [name if each == old else each for each in node.output]
        if node.name == old:
            self._same[self._made_by.pop(old)] = name
            node.name, node.doc_string = name, doc
        return name


class Call:
    """One node of the model on its way into ONNX.

    Attributes:
        operator: the target's.
        attrs: its attributes, typed.
        inputs: what it reads.
        dims: the shapes of its outputs, for any batch.
        low: the smallest value of its first output.
        high: the largest.
        accumulator: the largest magnitude of its sums and products, in any order.
    """

    def __init__(self, writer: Writer, operator: Any, attrs: Any, inputs: list[Tensor]) -> None:
        self.writer, self.operator, self.attrs, self.inputs = writer, operator, attrs, inputs
        self.dims: list[Dims] = []
        self.low = self.high = self.accumulator = 0

    @property
    def fits_float(self) -> bool:
        """Whether float32 holds every value of the first output."""
        return max(abs(self.low), abs(self.high)) <= EXACT

    def op(self, kind: str, *inputs: str, **attrs: Any) -> str:
        """The name of the output of a new node."""
        return self.writer.op(kind, *inputs, **attrs)

    def number(self, values: Numbers, is_float: bool) -> str:
        """A small constant, in float32 or int32."""
        return self.writer.constant(np.asarray(values, np.float32 if is_float else np.int32))

    def power(self, exponent: int) -> str:
        """2^exponent in float32: of one entry, since TVM's writer of C gives scalars seven digits."""
        return self.number([2.0**exponent], True)

    def index(self, values: Numbers) -> str:
        """A constant of indices, axes or sizes."""
        return self.writer.constant(np.asarray(values, np.int64))

    def array(self, values: Array, is_float: bool, name: str = "") -> str:
        """A constant of integers, in float32 or int32; a large one of 8 bits is stored in 8."""
        if values.size > _FEW and np.abs(values.astype(np.int64)).max() <= 127:
            return self.cast(self.writer.constant(values.astype(np.int8), name), is_float)
        return self.writer.constant(values.astype(np.float32 if is_float else np.int32), name)

    def cast(self, name: str, is_float: bool) -> str:
        """Whole numbers of any type in float32 or int32."""
        return self.op("Cast", name, to=onnx.TensorProto.FLOAT if is_float else onnx.TensorProto.INT32)

    def read(self, x: Tensor, is_float: bool) -> str:
        """A tensor in float32 or int32."""
        if x.known is not None:
            return self.array(x.known, is_float, x.name)
        return x.name if x.is_float == is_float else self.cast(x.name, is_float)

    def reshape(self, name: str, dims: Dims) -> str:
        """A tensor in another shape; `BoundError` where that depends on the batch more than once."""
        if sum(isinstance(dim, str) for dim in dims) > 1:
            raise BoundError(f"the shape {dims} cannot be said for any batch")
        return self.op("Reshape", name, self.index([-1 if isinstance(dim, str) else dim for dim in dims]))

    def columns(self, name: str, indices: Numbers, axis: int) -> str:
        """The parts of a tensor at some indices of an axis."""
        return self.op("Gather", name, self.index(indices), axis=axis)

    def between(self, name: str, is_float: bool, low: int, high: int) -> str:
        """A tensor limited to [low, high]. Not by Clip in int32, which some engines compute in float32."""
        if is_float:
            low, high = max(low, -EXACT), min(high, EXACT)
            return self.op("Clip", name, self.number(low, True), self.number(high, True))
        least, most = (self.number(end, False) if abs(end) <= EXACT else self.held(end, name) for end in (low, high))
        return self.op("Min", self.op("Max", name, least), most)

    def held(self, value: int, beside: str) -> str:
        """A constant of int32 that depends on a tensor: what engines make of constants goes by float32 in some."""
        return self.op("Add", self.op("BitwiseAnd", beside, self.number(0, False)), self.number(value, False))

    def halves(self, x: Tensor) -> tuple[str, str]:
        """(h, l) in float32 with x = 65536 * h + l and 0 <= l < 65536, both exact."""
        name = self.read(x, False)
        high = self.cast(self.op("BitwiseAnd", name, self.number(-65536, False)), True)
        low = self.cast(self.op("BitwiseAnd", name, self.number(65535, False)), True)
        return self.op("Mul", high, self.power(-16)), low

    def joined(self, high: str, low: str, unit: int = 65536) -> str:
        """unit * high + low in int32, of two tensors of float32."""
        return self.op("Add", self.op("Mul", self.cast(high, False), self.number(unit, False)), self.cast(low, False))
