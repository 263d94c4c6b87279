"""A graph as a drawing: layers from top to bottom, on each edge what is known of the tensor."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

from mrt.errors import MRTError
from mrt.view.seen import INPUT_OP, Seen, View

_MOST_NODES = 1500
_ROW, _COLUMN, _MARGIN = 0.95, 3.0, 1.9  # inches
_BEND = 1.2  # inches that an edge past other nodes keeps from their middle
_NAME = 34  # letters
_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "#eef3f8", "edgecolor": "#5b6b7a", "linewidth": 0.8}


def svg(view: View) -> str:
    """The drawing, an SVG file.

    Raises:
        MRTError: the graph is too large to look at.
    """
    import matplotlib  # these take a second
    import networkx
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    if len(view.nodes) > _MOST_NODES:
        raise MRTError(f"{len(view.nodes)} nodes are too many for a drawing, of which {_MOST_NODES} is the most")
    seen = {node.name: node for node in view.nodes}
    graph = networkx.DiGraph()
    graph.add_nodes_from(seen)
    graph.add_edges_from((source, node.name) for node in view.nodes for source in node.inputs)
    row_of = _rows(graph, {node.name for node in view.nodes if node.op == INPUT_OP})
    places = {name: (_COLUMN * column, -_ROW * row_of[name]) for name, column in _columns(graph, row_of).items()}
    right = max(x for x, _ in places.values())
    rows = max(row_of.values()) + 1
    figure = Figure(figsize=(right + 2 * _MARGIN, _ROW * rows + 0.5))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-_MARGIN, right + _MARGIN)
    axes.set_ylim(-_ROW * (rows - 1) - 0.6, 0.6)
    for source, target in graph.edges:
        (x, y), (u, v) = places[source], places[target]
        skips = row_of[target] - row_of[source] > 1
        arrow = {"arrowstyle": "-|>", "color": "#5b6b7a", "shrinkA": 14, "shrinkB": 14}
        bend = 2 * _BEND / math.hypot(u - x, v - y)
        arrow["connectionstyle"] = f"arc3,rad={min(bend, 0.8):.3f}" if skips else "arc3"
        axes.annotate("", (u, v), (x, y), arrowprops=arrow)
        if all(row_of[each] - row_of[source] > 1 for each in graph.successors(source)):
            axes.text(x + 0.06, y - 0.4, _edge(seen[source]), fontsize=5.5, va="center", color="#7a3e00")
        elif not skips:
            place = x + (u - x) / 3 + 0.06, y + (v - y) / 2.4
            axes.text(*place, _edge(seen[source]), fontsize=5.5, va="center", color="#7a3e00")
    for name, (x, y) in places.items():
        axes.text(x, y, _node(seen[name]), fontsize=7, ha="center", va="center", bbox=_BOX)
    for name in view.outputs:
        x, y = places[name]
        axes.text(x, y - 0.45, f"output: {_edge(seen[name])}", fontsize=5.5, ha="center", color="#7a3e00")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mrt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _rows(graph: Any, inputs: set[str]) -> dict[str, int]:
    """Each node one below the lowest that it reads; what reads constants alone, just above its first reader."""
    import networkx

    order = list(networkx.topological_sort(graph))
    rows: dict[str, int] = {}
    for name in order:
        above = [rows[each] for each in graph.predecessors(name) if each in rows]
        if above or name in inputs:
            rows[name] = max(above, default=-1) + 1
    for name in reversed(order):
        if name not in rows:
            rows[name] = min((rows[each] for each in graph.successors(name)), default=1) - 1
    first = min(rows.values())
    return {name: row - first for name, row in rows.items()}


def _columns(graph: Any, row_of: Mapping[str, int]) -> dict[str, int]:
    """Each node below the leftmost that it reads, where no other is; what reads nothing, right of the others."""
    columns: dict[str, int] = {}
    rows: dict[int, list[str]] = {}
    for name, row in row_of.items():
        rows.setdefault(row, []).append(name)
    for row in sorted(rows):
        wanted = {
            name: min((columns[each] for each in graph.predecessors(name)), default=len(row_of)) for name in rows[row]
        }
        free = 0
        for name in sorted(wanted, key=lambda each: wanted[each]):
            columns[name] = max(free, wanted[name]) if wanted[name] < len(row_of) else free
            free = columns[name] + 1
    return columns


def _node(node: Seen) -> str:
    name = node.name if len(node.name) <= _NAME else f"…{node.name[1 - _NAME :]}"
    return f"{node.op}\n{name}"


def _edge(node: Seen) -> str:
    parts = [node.size]
    if node.precision is not None:
        parts.append(f"{node.precision} bits, {node.bounds}")
    if node.scale:
        parts.append(f"scale {node.scale}")
    return ", ".join(part for part in parts if part)
