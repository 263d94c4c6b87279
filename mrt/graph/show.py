"""Readable printing of graphs."""

from __future__ import annotations

from collections.abc import Mapping

from mrt.graph.ir import Graph, Shape, Value


def show(graph: Graph, shapes: Mapping[Value, Shape] | None = None) -> str:
    """One line per node: name = op(inputs) {attrs} -> shape, and where it came from when that is another name.

    Args:
        graph: what to print.
        shapes: of its values, as `mrt.executors.mxnet.infer_shapes` gives them; None leaves them out.
    """
    by_node = {value.node: shape for value, shape in (shapes or {}).items() if value.index == 0}
    lines = []
    for node in graph.nodes():
        shape = f" -> {by_node[node]}" if node in by_node else ""
        if node.is_variable:
            kind = "input" if node.name in graph.inputs else "param"
            lines.append(f"{node.name}: {kind}{shape}")
            continue
        attrs = ", ".join(f"{k}={v}" for k, v in node.attrs.items() if not k.startswith("__"))
        source = f"  # {', '.join(node.origin)}" if node.origin not in ((), (node.name,)) else ""
        arguments = ", ".join(value.name for value in node.inputs)
        lines.append(f"{node.name} = {node.op}({arguments})" + (f" {{{attrs}}}" if attrs else "") + shape + source)
    lines.append("outputs: " + ", ".join(value.name for value in graph.outputs))
    return "\n".join(lines)
