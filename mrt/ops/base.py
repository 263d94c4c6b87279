"""What an operator is: its whole life, from the user's network to the CVM, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from mrt.graph.attrs import refuse
from mrt.graph.ir import Array, Node, Shape, Value
from mrt.graph.layout import Layout
from mrt.integer.context import QuantizeContext
from mrt.integer.form import Form
from mrt.integer.qvalue import QValue


class Rewriter(Protocol):
    """What an operator's `rewrite` rule can build with."""

    def op(self, op: str, inputs: Sequence[Value], attrs: Mapping[str, object] | None = None) -> Value:
        """A new node."""

    def param(self, array: Array) -> Value:
        """A new parameter (float32)."""

    def shape(self, value: Value) -> Shape:
        """The shape of a value of the graph being rewritten (batch 1)."""

    def open_shape(self, value: Value) -> Shape:
        """Likewise, with -1 for the axis that the batch makes longer."""

    def constant(self, value: Value) -> Array | None:
        """The array behind a value when it is a parameter."""


class NotFollowedError(Exception):
    """Why an operator's channels cannot be removed, in words that follow "because"."""


class ChannelNumbers(Protocol):
    """What an operator's `follow` rule tells of the channels that pass through it, numbered over the whole network."""

    shapes: Mapping[Value, Shape]
    """Of all values, at batch 1."""

    def read(self, node: Node, position: int = 0) -> Layout:
        """Those of an input.

        Raises:
            NotFollowedError: it is a constant.
        """

    def layout(self, value: Value) -> Layout | None:
        """Those of a value, None of a constant."""

    def set(self, value: Value, layout: Layout) -> None:
        """Those of an output."""

    def make(self, node: Node, attribute: str, count: int, axis: int) -> Array:
        """The numbers of as many new ones, along an axis of a layer's output; the attribute counts them."""

    def tie(self, one: Array, other: Array) -> None:
        """These are removed together only, element by element, broadcast."""

    def fix(self, ids: Array, reason: str) -> None:
        """These cannot be removed; the reason is in words that follow "because"."""

    def cut(self, node: Node, position: int, axis: int, ids: Array) -> None:
        """The input is a parameter with an element along an axis for each of these; they stay where it is none."""

    def count(self, node: Node, attribute: str, ids: Array) -> None:
        """The attribute is the number of these that are kept."""

    def change(self, node: Node, ids: Array, change: Callable[[tuple[Value, ...], Array], Sequence[Value]]) -> None:
        """Where some of these go, what replaces the node's outputs, given its inputs and which of these are kept."""


class Operator:
    """One operator, or a tight family; stateless.

    A subclass sets `names` and `summary` and overrides the rules that apply. An operator of the user's network either
    has a `rewrite` rule, which turns it into simpler operators in the prepare stage, or a `quantize` rule, which emits
    the target's. All that passes need to know of it is a trait or a rule here, so that an operator is one file.
    """

    names: ClassVar[tuple[str, ...]]
    summary: ClassVar[str]
    form: ClassVar[Form] = Form.WIDE
    adds: ClassVar[bool] = False
    """Whether it adds its two operands, or subtracts one from the other."""
    affine: ClassVar[bool] = False
    """Whether it scales or shifts its first operand where the second is constant."""
    folds_channels: ClassVar[bool] = False
    """Whether it can read a tensor whose integers mean something else in each channel (`QValue.per_channel`)."""
    moves: ClassVar[bool] = False
    """Whether it only rearranges values."""
    selects: ClassVar[bool] = False
    """Whether it decides what is kept, as a detection head does (`mrt.run.keys` leaves it to the float part)."""
    suppresses: ClassVar[bool] = False
    """Whether it leaves out boxes that better ones overlap."""
    learned: ClassVar[tuple[int, ...]] = ()
    """Which of its inputs training changes; every other parameter, such as a detector's anchors, is a constant."""
    compares: ClassVar[bool] = False
    """Whether it is a training loss, which compares its first input with labels, its last."""
    normalizes: ClassVar[bool] = False
    """Whether it normalizes by moving statistics: after its data it reads gamma, beta, mean and variance."""
    passes_factors: ClassVar[bool] = False
    """Whether a factor above 0 of its first input is one of its output; near enough where it bends smoothly."""
    elementwise: ClassVar[bool] = False
    """Whether it computes each entry from the entry at that place of each input, broadcast."""
    drops: ClassVar[bool] = False
    """Whether it leaves values out at random in training, and passes them on at inference."""
    spreading: ClassVar[str | None] = None
    """The name of the same operator of two tensors for shapes that differ."""
    sized: ClassVar[bool] = False
    """Whether its `rewrite` rule needs sizes of what it reads, which loading settles (`mrt.transform.fix_shapes`)."""

    def check(self, node: Node) -> None:
        """Refuse attributes that MXNet itself dies of, before it sees them."""

    def validate(self, node: Node, shapes: Mapping[Value, Shape]) -> None:
        """Refuse what cannot be handled, with an `MRTError` that names node and attribute.

        `shapes` have -1 for the axis that the batch makes longer, which need not be the first.
        """

    def rewrite(self, node: Node, inputs: tuple[Value, ...], rw: Rewriter) -> Sequence[Value] | None:
        """The values that replace the node's outputs, or None to keep it. `inputs` are the rewritten inputs."""
        return None

    def bounds(self, node: Node) -> tuple[float, float] | None:
        """The real bounds when the node is a clamp, which may then be absorbed by the form its output is stored in."""
        return None

    def moved(self, node: Node) -> tuple[Value, ...]:
        """The inputs whose values it moves, where it only moves values."""
        return node.inputs

    def looked_into(self, node: Node) -> tuple[Value, ...]:
        """The inputs whose values matter to it; of the others, only the shapes do."""
        return node.inputs

    def counts(self, node: Node) -> bool:
        """Whether it makes whole numbers of what it reads, as a detection head may."""
        return False

    def settled(self, node: Node, rw: Rewriter) -> bool:
        """Whether the size of the batch does not matter to what a `sized` operator gives."""
        return True

    def reads(self, node: Node, place: int, used: Callable[[Value], bool]) -> bool:
        """Whether it may read the entry at a place of a vector; `used` says it of a value that it gives."""
        return True

    def channels(
        self,
        node: Node,
        given: Sequence[Array | None],
        constants: Sequence[Array | None],
        before: Sequence[Shape],
        after: Shape,
    ) -> Array | None:
        """The channel each entry of the output is made of, where a factor above 0 of the channel passes through.

        Args:
            node: what to look at.
            given: for each input the numbers of the channels that its entries belong to, an array of the input's rank
                whose axes have the input's size, or 1 where the numbers are the same; None for a constant.
            constants: for each input the array behind it where it is constant.
            before: the shapes of the inputs, at batch 1.
            after: the shape of the output.

        Returns:
            The numbers for the output, likewise; None where an entry is made of several, or no factor passes.
        """
        return None

    def follow(self, node: Node, channels: ChannelNumbers) -> None:
        """Tell which channels the elements of the outputs belong to, and what is changed when channels go.

        Raises:
            NotFollowedError: no channel that it reads or makes can be removed.
        """
        if not self.elementwise:
            raise NotFollowedError(f"{node.op} {node.name} mixes them")
        _follow_entries(node, channels)

    def quantize(self, node: Node, ctx: QuantizeContext) -> QValue | tuple[QValue, ...]:
        """Emit integer operators that compute the node and say what they stand for, each of several outputs."""
        raise refuse(node, "this operator has no integer form")

    @classmethod
    def has(cls, rule: str) -> bool:
        """Whether the operator overrides a rule."""
        return getattr(cls, rule) is not getattr(Operator, rule)


class Layer(Operator):
    """An operator that sums the products of its first input with weights, its second, and adds a bias, its third."""

    form = Form.NARROW
    learned = (1, 2)

    def check(self, node: Node) -> None:
        """MXNet divides by the number of groups."""
        self.groups(node)

    def groups(self, node: Node) -> int:
        """Into how many groups of channels input and output are parted; each output reads one."""
        return 1

    def outputs(self, node: Node, weight: Array) -> int:
        """The number of output channels."""
        return len(weight)

    def scaled(self, node: Node, weight: Array, factor: Array) -> Array:
        """The weights that multiply each output channel with its factor, (O,)."""
        scaled: Array = weight * factor.reshape((-1,) + (1,) * (weight.ndim - 1))
        return scaled

    def filters(self, node: Node, weight: Array) -> Array:
        """A row of weights for each output channel, (O, K)."""
        return weight.reshape(len(weight), -1)

    def positions(self, data: Shape, out: Shape) -> int:
        """How often it uses each of its weights for one picture, given the shapes of input and output at batch 1."""
        raise NotImplementedError

    def patches(self, node: Node, data: Array, weight: Array, limit: int, generator: np.random.Generator) -> Array:
        """What the weights are multiplied with for a batch: (G, N, K), G groups, K in the weights' order.

        At most `limit` of a picture's output positions, drawn by the generator, stand for all of them.
        """
        raise NotImplementedError


def require_batch_kept(node: Node, axes: Iterable[int], shape: Shape, what: str) -> None:
    """Refuse what mixes samples.

    Args:
        node: what does it.
        axes: along which it does.
        shape: of what it reads, with -1 for the axis of the samples.
        what: it is, in words.

    Raises:
        MRTError: one of the axes is that of the samples.
    """
    if any(shape[axis] == -1 for axis in axes):
        raise refuse(node, f"{what} over the batch axis is not supported")


def sole(given: Sequence[Array | None]) -> Array | None:
    """The first of the given where there are no others."""
    first, *others = given
    return first if all(other is None for other in others) else None


def planes(numbers: Array | None) -> Array | None:
    """The given where each channel's plane has one number."""
    return None if numbers is None or any(size > 1 for size in numbers.shape[2:]) else numbers


def _follow_entries(node: Node, channels: ChannelNumbers) -> None:
    """The `follow` rule of what is elementwise."""
    layouts = [layout for layout in map(channels.layout, node.inputs) if layout is not None]
    rank = max(len(channels.shapes[value]) for value in node.inputs)
    if any(layout.ids.ndim != rank for layout in layouts):
        raise NotFollowedError(f"{node.op} {node.name} reads tensors of several ranks")
    size = max(layout.size for layout in layouts)
    lead = max((layout for layout in layouts if layout.size == size), key=lambda layout: layout.ids.size)
    for layout in layouts:
        if layout.axis != lead.axis and layout.ids.size > 1:
            raise NotFollowedError(f"{node.op} {node.name} has them on several axes")
        if layout.size == size:
            channels.tie(lead.vector, layout.vector)
        else:  # one for all channels
            channels.fix(layout.ids, f"{node.op} {node.name} applies them to all channels")
    for position, value in enumerate(node.inputs):
        if channels.layout(value) is None:
            shape = channels.shapes[value]
            axis = lead.axis - (rank - len(shape))
            if axis >= 0 and shape[axis] > 1:
                channels.cut(node, position, axis, lead.vector)
    channels.set(Value(node), lead)
