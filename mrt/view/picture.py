"""A graph as a drawing: layers from top to bottom, on each edge what is known of the tensor."""

from __future__ import annotations

import io

from mrt.errors import MRTError
from mrt.view.seen import Seen, View

_MOST_NODES = 1500
_ROW, _COLUMN = 0.95, 3.0  # inches
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
    rows = [sorted(row, key=list(seen).index) for row in networkx.topological_generations(graph)]
    row_of = {name: number for number, row in enumerate(rows) for name in row}
    places = {
        name: (_COLUMN * (column - (len(row) - 1) / 2), -_ROW * number)
        for number, row in enumerate(rows)
        for column, name in enumerate(row)
    }
    width = _COLUMN * max(len(row) for row in rows) + 2.0
    figure = Figure(figsize=(width, _ROW * len(rows) + 0.5))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-width / 2, width / 2)
    axes.set_ylim(-_ROW * (len(rows) - 1) - 0.6, 0.6)
    for source, target in graph.edges:
        (x, y), (u, v) = places[source], places[target]
        skips = row_of[target] - row_of[source] > 1
        arrow = {"arrowstyle": "-|>", "color": "#5b6b7a", "shrinkA": 14, "shrinkB": 14}
        arrow["connectionstyle"] = "arc3,rad=0.35" if skips else "arc3"
        axes.annotate("", (u, v), (x, y), arrowprops=arrow)
        if all(row_of[each] - row_of[source] > 1 for each in graph.successors(source)):
            axes.text(x + 0.06, y - 0.4, _edge(seen[source]), fontsize=5.5, va="center", color="#7a3e00")
        elif not skips:
            axes.text((x + u) / 2 + 0.06, (y + v) / 2, _edge(seen[source]), fontsize=5.5, va="center", color="#7a3e00")
    for name, (x, y) in places.items():
        axes.text(x, y, _node(seen[name]), fontsize=7, ha="center", va="center", bbox=_BOX)
    for name in view.outputs:
        x, y = places[name]
        axes.text(x, y - 0.45, f"output: {_edge(seen[name])}", fontsize=5.5, ha="center", color="#7a3e00")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mrt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


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
