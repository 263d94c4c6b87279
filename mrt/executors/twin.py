"""The twin of a graph: the same computation with MXNet's operators only, so that MXNet can run it and open its files.

A node that MXNet does not have becomes a chain of nodes (`equivalents`). The last one has its name and carries the note
`__mrt__`, from which `restored` makes the node again; the ones before it carry `__part__`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mrt.errors import MRTError
from mrt.executors.equivalents import MXNetOperator, equivalent
from mrt.graph.ir import Graph, Namer, Node, Value

_NOTE = "__mrt__"
_PART = "__part__"
_MOST_OUTPUTS = 3


def twin(graph: Graph) -> Graph:
    """The graph on MXNet; its outputs, inputs and parameters are those of `graph`."""
    namer = Namer(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        steps = equivalent(node)
        if steps is None:
            return None
        values = inputs
        for step in steps[:-1]:
            part = Node(step.op, namer(f"{node.name}_0"), _ordered(step, values), {**_attrs(step), _PART: node.name})
            values = (Value(part),)
        last = steps[-1]
        note = {"op": node.op, "attrs": dict(node.attrs), "inputs": [value.name for value in node.inputs]}
        attrs = {**_attrs(last), _NOTE: json.dumps(note)}
        result = Node(last.op, node.name, _ordered(last, values), attrs, node.origin)
        return [Value(result, index) for index in range(_MOST_OUTPUTS)]

    return graph.rebuild(visit)


def _ordered(step: MXNetOperator, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    return inputs[::-1] if step.reverse else inputs


def _attrs(step: MXNetOperator) -> dict[str, str]:
    return {key: str(value) for key, value in step.attrs.items()}


def restored(graph: Graph) -> Graph:
    """The graph of which `graph` is the twin.

    Raises:
        MRTError: a note is damaged.
    """
    if not any(_NOTE in node.attrs for node in graph.nodes()):
        return graph
    by_name: dict[str, Node] = {}
    for node in graph.nodes():
        if _PART in node.attrs:
            continue
        op, attrs, names = node.op, dict(node.attrs), [value.name for value in node.inputs]
        try:
            if _NOTE in attrs:
                note = json.loads(attrs[_NOTE])
                op, attrs, names = note["op"], note["attrs"], note["inputs"]
            inputs = tuple(_value(by_name, name) for name in names)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MRTError(f"node {node.name}: what MRT noted of it is damaged ({type(error).__name__})") from None
        by_name[node.name] = Node(op, node.name, inputs, attrs, node.origin)
    outputs = tuple(Value(by_name[value.node.name], value.index) for value in graph.outputs)
    return Graph(outputs, graph.params, graph.inputs)


def _value(by_name: Mapping[str, Node], name: str) -> Value:
    if name in by_name:
        return Value(by_name[name])
    base, _, index = name.rpartition(":")
    return Value(by_name[base], int(index))
