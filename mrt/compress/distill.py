"""Distillation: what a student loses against a teacher's values, beside the labels.

- soft_label: cross-entropy of softmax(teacher / T) and softmax(student / T), summed over classes (Hinton et al.,
  Distilling the knowledge in a neural network, 2015);
- l2: mean squared error of pairs of values;
- fsp: mean squared error of the flows F1 F2^T / (h w) between two layers of each network (Yim et al., A gift from
  knowledge distillation, 2017);
- logits: squared error of the scores, mean over classes (Ba and Caruana, Do deep nets really need to be deep?, 2014);
- patient: squared error of pairs of states of the first token, each brought to length 1 (Sun et al., Patient knowledge
  distillation for BERT model compression, 2019); of pairs of values (N, tokens, width).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mxnet as mx
from mxnet import autograd

from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Array, Graph, Value
from mrt.graph.batch import Feed
from mrt.train import GraphLearner, Objective

HARD = "hard"


@dataclass(frozen=True)
class DistillSettings:
    """Which losses, and between what.

    Attributes:
        losses: their weights; that of "hard", the labels, is 1 unless given.
        temperature: T of soft_label.
        pairs: student node: teacher node, of l2 and patient.
        flows: likewise, of fsp; two in a row are one flow.
    """

    losses: Mapping[str, float]
    temperature: float = 1.0
    pairs: Mapping[str, str] = field(default_factory=dict)
    flows: Mapping[str, str] = field(default_factory=dict)


class Distilled:
    """A student that is trained with a teacher.

    Args:
        student: the network to train.
        learned: its parameters that are, see `GraphLearner`.
        teacher: stays as it is.
        settings: the losses.

    Attributes:
        learner: to be trained, with `objective`.

    Raises:
        MRTError: the networks' outputs, or the values of a pair, are of different shapes, or a node does not exist.
    """

    def __init__(
        self, student: Graph, teacher: Graph, settings: DistillSettings, learned: Sequence[str] | None = None
    ) -> None:
        self._settings = settings
        named = {**settings.pairs, **settings.flows}
        mine = [_value(student, name, "student") for name in named]
        theirs = [_value(teacher, name, "teacher") for name in named.values()]
        shapes, others = _shapes(student, mine), _shapes(teacher, theirs)
        if [shapes[v] for v in student.outputs] != [others[v] for v in teacher.outputs]:
            raise MRTError(
                f"its outputs are {_listed(teacher, others)}, the network's are {_listed(student, shapes)}; they must "
                "be of one shape",
                switch="distillation.teacher",
            )
        for name, one, other in zip(named, mine, theirs):
            if shapes[one] != others[other]:
                raise MRTError(
                    f"{name} is {shapes[one][1:]}, the teacher's {other.name} is {others[other][1:]}; they must be "
                    "of one shape",
                    switch="distillation.pairs",
                )
        self._names = list(named)
        self.learner = GraphLearner(student, mine, learned=learned)
        self._teacher = GraphLearner(teacher, theirs)
        self._outputs = len(student.outputs)

    @property
    def objective(self) -> Objective:
        """The loss of each picture."""
        return self._losses

    def _losses(self, pictures: Feed, labels: Array) -> Any:
        with autograd.pause(train_mode=False):
            theirs = self._teacher(pictures)
        mine = self.learner(pictures)
        weights = {HARD: 1.0, **self._settings.losses}
        total = weights[HARD] * _cross_entropy(mine[0], mx.nd.one_hot(mx.nd.array(labels), mine[0].shape[1]))
        if "soft_label" in weights:
            heat = self._settings.temperature
            total = total + weights["soft_label"] * _cross_entropy(mine[0] / heat, mx.nd.softmax(theirs[0] / heat))
        inner = {name: (mine[self._outputs + i], theirs[self._outputs + i]) for i, name in enumerate(self._names)}
        if "logits" in weights:
            total = total + weights["logits"] * _per_picture(mx.nd.square(mine[0] - theirs[0]))
        for name in self._settings.pairs:
            one, other = inner[name]
            if "l2" in weights:
                total = total + weights["l2"] * _per_picture(mx.nd.square(one - other))
            if "patient" in weights:
                total = total + weights["patient"] * mx.nd.square(_first(one) - _first(other)).sum(axis=1)
        flows = list(self._settings.flows) if "fsp" in weights else []
        for first, second in zip(flows[0::2], flows[1::2]):
            one, other = (flow(inner[first][side], inner[second][side]) for side in (0, 1))
            total = total + weights["fsp"] * _per_picture(mx.nd.square(one - other))
        return total


def flow(first: Any, second: Any) -> Any:
    """F1 F2^T / (h w), (N, C1, C2), of two maps; the larger is brought to the smaller's size by maximum pooling."""
    maps = [first, second]
    sizes = [array.shape[2:] for array in maps]
    small = min(sizes, key=lambda size: size[0] * size[1])
    for index, (array, size) in enumerate(zip(maps, sizes)):
        if size != small:
            kernel = (size[0] // small[0], size[1] // small[1])
            array = mx.nd.Pooling(array, kernel=kernel, stride=kernel, pool_type="max")
        maps[index] = array.reshape((0, 0, -1))
    return mx.nd.batch_dot(maps[0], maps[1], transpose_b=True) / (small[0] * small[1])


def _first(states: Any) -> Any:
    """The first token's state, (N, width), at length 1."""
    return mx.nd.L2Normalization(mx.nd.slice_axis(states, axis=1, begin=0, end=1).reshape((0, -1)))


def _cross_entropy(scores: Any, wanted: Any) -> Any:
    return -(wanted * mx.nd.log_softmax(scores)).sum(axis=1)


def _per_picture(array: Any) -> Any:
    return array.reshape((0, -1)).mean(axis=1)


def _value(graph: Graph, name: str, whose: str) -> Value:
    for node in graph.nodes():
        if node.name == name:
            return Value(node)
    raise MRTError(f"the {whose} has no node {name}", switch="distillation.pairs")


def _shapes(graph: Graph, also: list[Value]) -> dict[Value, tuple[int, ...]]:
    return infer_shapes(Graph((*graph.outputs, *also), graph.params, graph.inputs))


def _listed(graph: Graph, shapes: Mapping[Value, tuple[int, ...]]) -> str:
    return ", ".join(str(shapes[value][1:]) for value in graph.outputs)
