"""Passes: small classes that turn one graph into another, and the manager that runs and verifies them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.graph import Array, Graph, Namer, Node, Shape, Value, as_param
from mrt.graph.batch import Feed, Samples

logger = logging.getLogger(__name__)

_MOST = 0.999


class Pass:
    """One transformation. `run` must not change its argument."""

    name: ClassVar[str]

    def requires(self, graph: Graph) -> None:
        """Check what the pass needs of its input; raise `MRTError` otherwise."""

    def run(self, graph: Graph) -> Graph:
        """The transformed graph."""
        raise NotImplementedError

    def ensures(self, graph: Graph) -> None:
        """Check what the pass promises of its result; raise `MRTError` otherwise."""


class PassManager:
    """Runs passes in order.

    Args:
        passes: what to run.
        verify: inputs on which each pass's result must agree with the graph before it, computed on MXNet; None
            switches verification off.
        tolerance: largest allowed difference, relative to the largest output.
        context: the MXNet device to verify on.

    Where boxes are suppressed, what that reads is compared: of two boxes with all but the same score, either may come
    first. There, one entry in a thousand may differ, as scores next to a threshold do.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        verify: Feed | None = None,
        tolerance: float = 1e-3,
        context: Any | None = None,
    ) -> None:
        self.passes = tuple(passes)
        self._context = context
        self.verify = verify
        self.tolerance = tolerance
        self.errors: dict[str, float] = {}
        self._compared_part = 1.0

    def run(self, graph: Graph) -> Graph:
        """The graph after all passes.

        Raises:
            MRTError: a pass's precondition, postcondition or equivalence fails; the pass is named.
        """
        reference = self._outputs(graph)
        for step in self.passes:
            try:
                step.requires(graph)
                graph = step.run(graph)
                step.ensures(graph)
            except MRTError as error:
                raise MRTError(f"pass {step.name}: {error}", error.remedy) from error
            logger.debug("pass %s: %d nodes", step.name, len(graph.nodes()))
            if reference is not None:
                result = self._outputs(graph)
                assert result is not None
                self._compare(step, reference, result)
                reference = result
        return graph

    def _outputs(self, graph: Graph) -> list[Array] | None:
        if self.verify is None:
            return None
        given = self.verify if isinstance(self.verify, Mapping) else {next(iter(graph.inputs)): self.verify}
        count = Samples({name: graph.inputs[name] for name in given}).count(given)
        feed = {**{name: np.zeros(shape, np.float32) for name, shape in graph.input_shapes(count).items()}, **given}
        selected = [node.inputs for node in graph.nodes() if ops.of(node).suppresses]
        if not selected:
            return Executor(graph, context=self._context)(feed)
        self._compared_part = _MOST
        read = [value for inputs in selected for value in inputs]
        arrays = iter(Executor(graph, read, context=self._context)(feed))
        joined = (np.concatenate([next(arrays) for _ in inputs], axis=-1) for inputs in selected)
        return [np.sort(rows, axis=-1) for rows in joined]  # the columns may have changed places

    def _compare(self, step: Pass, before: list[Array], after: list[Array]) -> None:
        if [a.shape for a in before] != [a.shape for a in after]:
            shapes = [[array.shape for array in arrays] for arrays in (before, after)]
            raise MRTError(f"pass {step.name}: output shapes changed from {shapes[0]} to {shapes[1]}")
        if not all(np.isfinite(array).all() for array in before):
            raise MRTError(
                "the network's own outputs are not finite on the calibration pictures; check its parameters and the "
                "preprocessing"
            )
        part = self._compared_part
        error = max(
            (
                float(np.quantile(np.abs(a - b), part)) / max(float(np.max(np.abs(a))), 1e-12)
                for a, b in zip(before, after)
            ),
            default=0.0,
        )
        self.errors[step.name] = error
        if not error <= self.tolerance:
            raise MRTError(f"pass {step.name} changed the network: relative error {error:.2e} > {self.tolerance:.0e}")


class Builder:
    """Makes new nodes for a pass over one graph, with unique names and the provenance of the node being replaced."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._namer = Namer(graph)
        self._shapes: dict[int, dict[Value, Shape]] = {}
        self._for_one_only = False
        self.params: dict[str, Array] = {}
        self.current: Node | None = None

    def op(self, op: str, inputs: Sequence[Value], attrs: Mapping[str, object] | None = None) -> Value:
        """A new node."""
        origin = self.current.origin if self.current else ()
        base = self.current.name if self.current else op.lower()
        name = self._namer(f"{base}_{op.strip('_').lower()}")
        text = {key: str(value) for key, value in (attrs or {}).items()}
        return Value(Node(op, name, tuple(inputs), text, origin))

    def param(self, array: Array) -> Value:
        """A new parameter."""
        base = self.current.name if self.current else "param"
        name = self._namer(f"{base}_const")
        self.params[name] = as_param(array)
        return Value(Node("null", name, origin=self.current.origin if self.current else ()))

    def shape(self, value: Value) -> Shape:
        """The shape of a value of the original graph (batch 1)."""
        return self._shape(value, 1)

    def open_shape(self, value: Value) -> Shape:
        """The shape of a value of the original graph, with -1 for the axis that the batch makes longer.

        Behind what holds for one sample only, that is the first.
        """
        one = self._shape(value, 1)
        try:
            two = self._twice(value)
        except MRTError:
            return (-1, *one[1:])
        return tuple(a if a == b else -1 for a, b in zip(one, two))

    def _twice(self, value: Value) -> Shape:
        """The shape for a batch of two, also of a value before what holds for one sample only."""
        if not self._for_one_only:
            try:
                return self._shape(value, 2)
            except MRTError:
                self._for_one_only = True
        return infer_shapes(Graph((value,), self._graph.params, self._graph.inputs).pruned(), 2)[value]

    def _shape(self, value: Value, batch: int) -> Shape:
        if batch not in self._shapes:
            self._shapes[batch] = infer_shapes(self._graph, batch)
        return self._shapes[batch][value]

    def constant(self, value: Value) -> Array | None:
        """The array behind a parameter, original or new."""
        if not value.node.is_variable:
            return None
        name = value.node.name
        return self.params[name] if name in self.params else self._graph.params.get(name)
