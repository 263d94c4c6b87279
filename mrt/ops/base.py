"""What an operator is: its whole life, from the user's network to the CVM, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from mrt.graph.attrs import refuse
from mrt.graph.ir import Array, Node, Shape, Value
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
        self, node: Node, given: Sequence[Array | None], before: Sequence[Shape], after: Shape
    ) -> Array | None:
        """The output's channels (axis 1) as those of its inputs, where a factor above 0 of each passes through.

        Args:
            node: what to look at.
            given: for each input the numbers of its channels, None for a constant.
            before: the shapes of the inputs, at batch 1.
            after: the shape of the output.

        Returns:
            The numbers of the output's channels; None where they are others.
        """
        return None

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
