"""Every attribute of every operator, with values that it cannot have: one line, or a network that MRT can prepare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import operator_cases
import pytest
from toolchain import random_network

from mrt import ops
from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.graph import Graph, Node, Value
from mrt.transform import PREPARE, PassManager

BAD = ("x", "None", "0", "-3", "7", "2.5", "nan", "()", "(0, 0)", "(9,)", "(1, 2, 3, 4, 5, 6, 7)", "[")
SECONDS = 60


class Recorded(dict[str, str]):
    """Attributes that know which of them were asked for, whether they are there or not."""

    def __init__(self, attrs: Any) -> None:
        super().__init__(attrs)
        self.asked = set(attrs)

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return super().__getitem__(key)


def with_attributes(graph: Graph, node: Node, attrs: Any) -> Graph:
    """The graph with other attributes of one node."""

    def visit(each: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        changed = replace(each, inputs=inputs, attrs=attrs)
        return [Value(changed, index) for index in range(8)] if each is node else None

    return graph.rebuild(visit)


def prepare(graph: Graph) -> Graph:
    return PassManager(PREPARE).run(graph)


@lru_cache(maxsize=1)
def networks() -> dict[str, tuple[Graph, Node]]:
    """A network for every operator that some case has, and the node of it."""
    found: dict[str, tuple[Graph, Node]] = {}
    kinds = set()
    for make in operator_cases.CASES.values():
        case = make()
        graph = random_network(case.symbol, case.shape, **case.params)
        for node in graph.nodes():
            kind = (type(ops.of(node)), *(node.attrs.get(key) for key in ("act_type", "pool_type", "mode")))
            if ops.known(node.op) and kind not in kinds:
                kinds.add(kind)
                found["-".join(filter(None, (node.op, *map(str, filter(None, kind[1:])))))] = graph, node
    return found


def attributes(graph: Graph, node: Node) -> Iterator[str]:
    """What the node has, and what preparing asks of it."""
    recorded = Recorded(node.attrs)
    prepare(with_attributes(graph, node, recorded))
    return (key for key in sorted(recorded.asked) if not key.startswith("__"))


def try_all(graph: Graph, node: Node, key: str) -> None:
    """Prepare the network with each bad value; what is refused is named."""
    for value in BAD:
        try:
            prepare(with_attributes(graph, node, {**node.attrs, key: value}))
        except MRTError as error:
            assert "\n" not in str(error), f"{key}={value}: {error}"
        except Exception as error:
            raise AssertionError(f"{key}={value}: {type(error).__name__}: {error}") from error


def test_every_operator_of_one_file_is_tried() -> None:
    tried = {type(ops.of(node)) for _, node in networks().values()}
    assert len(tried) > 60


@pytest.mark.parametrize("name", sorted(networks()))
def test_bad_attributes_end_in_one_line(name: str) -> None:
    graph, node = networks()[name]
    for key in attributes(graph, node):
        failure = attempt(partial(try_all, graph, node, key), SECONDS)
        assert failure is None, failure


@pytest.mark.parametrize("op", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("temperature", ["0", "-2", "nan", "x"])
def test_a_temperature_is_a_number_above_0(op: str, temperature: str) -> None:
    graph, node = networks()[op]
    with pytest.raises(MRTError, match=rf"node {node.name} \({op}\): .*temperature|temperature"):
        prepare(with_attributes(graph, node, {**node.attrs, "temperature": temperature}))
