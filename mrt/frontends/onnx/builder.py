"""Makes the nodes of the graph that an ONNX model becomes, and knows their shapes for one sample and for two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.frontends.onnx.values import BOOL, FLOAT, INT, SMALL, Known, Live, Operand
from mrt.graph import Array, Graph, Namer, Node, Shape, Value, as_param
from mrt.graph.attrs import integers

LARGEST = 2**31
"""Entries of a tensor beyond which a model is refused."""
_KINDS = {"f": FLOAT, "b": BOOL, "i": INT, "u": INT}
_Key = tuple[str, tuple[tuple[str, str], ...], tuple[Shape, ...]]


def kind_of(dtype: np.dtype[np.generic]) -> str:
    """The kind of an array's entries."""
    return SMALL if dtype.kind in "iu" and dtype.itemsize < 4 else _KINDS.get(dtype.kind, FLOAT)


class Builder:
    """Makes nodes; `name` and `origin` of those to come are set by `begin`."""

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self._namer = Namer()
        self._name = "node"
        self._known: dict[_Key, Shape] = {}
        self._column: Live | None = None

    def begin(self, name: str) -> None:
        """The next nodes stand for this one of the model."""
        self._name = name.replace(":", "_").replace(",", "_")

    def input(self, name: str, one: Shape, two: Shape, kind: str) -> Live:
        """An input of the network; the first one with a batch is what others get its size from."""
        live = Live(Value(Node("null", self._namer(name))), one, two, kind)
        if self._column is None and live.batch is not None:
            self._column = live
        return live

    def param(self, array: Array) -> Value:
        """A parameter."""
        name = self._namer(f"{self._name}_const")
        finite = np.nan_to_num(np.asarray(array, np.float64), nan=0.0, posinf=_MOST, neginf=-_MOST)
        self.params[name] = as_param(np.clip(finite, -_MOST, _MOST).reshape(np.shape(array) or (1,)))
        return Value(Node("null", name, origin=(self._name,)))

    def op(
        self,
        op: str,
        operands: Sequence[Operand],
        attrs: Mapping[str, object] | None = None,
        kind: str | None = None,
        scalar: bool = False,
    ) -> Live:
        """A new node of one output.

        Args:
            op: MXNet's operator.
            operands: what it reads.
            attrs: its attributes; each is written with `str`.
            kind: of its entries; by default that of its first operand.
            scalar: whether its one entry has no axis in the model.
        """
        inputs = [self.live(operand) for operand in operands]
        text = {key: str(value) for key, value in (attrs or {}).items()}
        one = self._shape(op, text, [each.one for each in inputs])
        two: Shape | None = one
        if any(each.two is None for each in inputs):
            two = None
        elif any(each.two != each.one for each in inputs):
            try:
                two = self._shape(op, text, [each.two or () for each in inputs])
            except MRTError:
                two = None
        node = Node(op, self._namer(f"{self._name}_{op.strip('_').lower()}"), tuple(i.value for i in inputs), text)
        node = Node(node.op, node.name, node.inputs, node.attrs, (self._name,))
        if scalar:
            one, two = (), two and ()
        return Live(Value(node), one, two, kind or inputs[0].kind)

    def live(self, operand: Operand) -> Live:
        """A constant as a parameter; one that grows with the batch as a sum with zeros that have the batch."""
        if isinstance(operand, Live):
            if operand.steps is not None:
                raise MRTError(
                    f"node {self._name}: it computes with quantized integers, which is not supported; "
                    "quantize with QuantizeLinear and DequantizeLinear around float operators"
                )
            return operand
        if not isinstance(operand, Known):
            raise MRTError(f"node {self._name}: it reads what was left out with node {operand.node}")
        array = operand.one
        if operand.fixed or operand.two is None:
            return Live(self.param(array), array.shape, array.shape, kind_of(array.dtype))
        axes = [axis for axis, (a, b) in enumerate(zip(array.shape, operand.two.shape)) if a != b]
        if (
            array.ndim != operand.two.ndim
            or len(axes) != 1
            or not (np.broadcast_to(array, operand.two.shape) == operand.two).all()
        ):
            raise MRTError(f"node {self._name}: a constant that depends on the size of the batch is not supported here")
        base = Live(self.param(array), array.shape, array.shape, kind_of(array.dtype))
        return self.op("broadcast_add", [base, self.zeros(array.ndim, axes[0])])

    def zeros(self, rank: int, axis: int) -> Live:
        """Zeros of one entry along all axes but this one, which has the batch."""
        if self._column is None:
            raise MRTError(f"node {self._name}: there is no input with a batch")
        source = self._column
        batch = source.batch
        for other in range(source.rank):
            if other != batch:
                source = self.slice(source, other, 0, 1)
        source = self.op("_mul_scalar", [source], {"scalar": 0.0})
        return self.reshape(source, lambda shape: tuple(prod(shape) if i == axis else 1 for i in range(rank)))

    def reshape(self, x: Live, dims: Callable[[Shape], Shape]) -> Live:
        """The same entries in another shape, which a function of the shape gives."""
        two = None if x.two is None else dims(x.two)
        return self.reshape_to(x, dims(x.one), two)

    def reshape_to(self, x: Live, one: Shape, two: Shape | None) -> Live:
        """Likewise, the shape being known for one sample and for two.

        A model that was exported for one sample asks for that shape with any batch; where there is an axis that can
        only be the samples', it is left free.
        """
        if prod(one) != prod(x.one):
            raise MRTError(f"node {self._name}: {x.one} cannot be reshaped to {one}")
        if x.two is not None and (two is None or prod(two) != prod(x.two)):
            two = _with_batch(x, one)
        if x.one == one and x.two == two:
            return x
        changed = [] if two is None else [axis for axis, (a, b) in enumerate(zip(one, two)) if a != b]
        codes = list(one) or [1]
        if two is not None and len(two) == len(one) and len(changed) == 1:
            codes[changed[0]] = -1
        result = self.op("Reshape", [x], {"shape": tuple(codes)}, scalar=not one)
        return Live(result.value, result.one, two if x.two is not None else None, x.kind, x.steps)

    def slice(self, x: Live, axis: int, begin: int, end: int | None) -> Live:
        """The entries from `begin` to before `end` along an axis."""
        return self.op("slice_axis", [x], {"axis": axis, "begin": begin, "end": end})

    def transpose(self, x: Live, axes: Sequence[int]) -> Live:
        """The axes in another order; back in the order before, where they were in another already."""
        before = x.value.node
        if before.op == "transpose" and x.rank == len(axes):
            moved = integers(before, "axes")
            axes = [moved[axis] for axis in axes]
            one = tuple(x.one[moved.index(axis)] for axis in range(x.rank))
            two = None if x.two is None else tuple(x.two[moved.index(axis)] for axis in range(x.rank))
            x = Live(before.inputs[0], one, two, x.kind, x.steps)
        return x if tuple(axes) == tuple(range(x.rank)) else self.op("transpose", [x], {"axes": tuple(axes)})

    def take(self, x: Live, axis: int, places: Sequence[int] | Array) -> Live:
        """The entries at constant places along an axis."""
        return self.op("take", [x, known(np.asarray(places))], {"axis": axis, "mode": "clip"}, kind=x.kind)

    def scaled(self, x: Live, factor: float, shift: float = 0.0) -> Live:
        """factor * x + shift."""
        if factor != 1:
            x = self.op("_mul_scalar", [x], {"scalar": float(factor)}, scalar=not x.one)
        return self.op("_plus_scalar", [x], {"scalar": float(shift)}, scalar=not x.one) if shift else x

    def _shape(self, op: str, attrs: Mapping[str, str], shapes: Sequence[Shape]) -> Shape:
        """The shape of the result, by MXNet's own inference."""
        sizes = tuple(shape or (1,) for shape in shapes)
        key = (op, tuple(sorted(attrs.items())), sizes)
        if key not in self._known:
            if any(0 in size for size in sizes):
                raise MRTError(f"node {self._name}: tensors without entries are not supported")
            variables = [Node("null", f"x{index}") for index in range(len(sizes))]
            node = Node(op, self._name, tuple(map(Value, variables)), attrs)
            graph = Graph((Value(node),), {}, {each.name: size for each, size in zip(variables, sizes)})
            try:
                shape = infer_shapes(graph)[Value(node)]
            except Exception as error:  # MXNet raises its own, and others about sizes
                reason = " ".join(str(error).split(": ", 1)[-1].split())[:160]
                raise MRTError(f"node {self._name}: the shapes {sizes} do not fit together ({reason})") from None
            if prod(shape) > LARGEST or 0 in shape:
                raise MRTError(f"node {self._name}: a tensor of shape {shape} cannot be computed")
            self._known[key] = shape
        return self._known[key]


_MOST = float(np.finfo(np.float32).max)


def known(array: Array) -> Known:
    """A constant that is the same for any batch."""
    return Known(array, array)


def _with_batch(x: Live, one: Shape) -> Shape | None:
    """The shape for two samples of what is asked for with one, where only one axis can be the samples'."""
    batch = x.batch
    if batch is None:
        return None
    before = prod(x.one[:batch])
    axes = [axis for axis, size in enumerate(one) if size == x.one[batch] and prod(one[:axis]) == before]
    if not axes:
        return None
    axis = batch if batch in axes else axes[0]
    assert x.two is not None
    return tuple(x.two[batch] if i == axis else size for i, size in enumerate(one))
