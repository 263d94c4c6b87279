"""The page's charts, drawn by matplotlib as SVG whose colours are the page's own, dark or light."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrt.report.details import LayerNoise, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What is drawn in these is given the page's colours afterwards.
_COLORS = {
    "#010101": "currentColor",
    "#010102": "var(--line)",
    "#010103": "var(--accent)",
    "#010104": "var(--second)",
    "#010105": "var(--muted)",
}
_TEXT, _LINE, _ACCENT, _SECOND, _MUTED = _COLORS
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mrt",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.4,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
    "lines.linewidth": 1.2,
}
_WIDTH = 4.6  # inches; 72 units of SVG each, so that text is legible on a phone, too
_TITLE = 44  # letters
_FINE = 30  # times the smallest: up to here, there is room for 1, 2 and 5 of each power of ten
_ALL = 101.0  # percent, and some room
_numbers = itertools.count()


@dataclass(frozen=True)
class Point:
    """A network in the scatter: milliseconds, percent, and its row's identifier on the page."""

    name: str
    identifier: str
    ms: float
    percent: float


def pareto(points: Sequence[Point]) -> list[Point]:
    """Those than which none is both as fast and as good, the fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (each.ms, -each.percent)):
        if not front or point.percent > front[-1].percent:
            front.append(point)
    return front


def scatter(points: Sequence[Point], measure: str) -> str:
    """`measure` in percent against latency, with the Pareto front; its networks are named, the others on touch."""

    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # takes a second

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        front = pareto(points)
        for point in points:
            axes.plot(point.ms, point.percent, "o", color=_MUTED, markersize=5, gid=f"point-{point.identifier}")
        axes.plot([p.ms for p in front], [p.percent for p in front], "-", color=_ACCENT)
        axes.set_xscale("log")
        fine = max(point.ms for point in points) < _FINE * min(point.ms for point in points)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("integer model, ms for one sample")
        axes.set_ylabel(f"{measure}, %")
        axes.margins(0.12)
        axes.set_ylim(top=min(axes.get_ylim()[1], _ALL))
        _name_points(figure, axes, front)

    shown = _svg(draw, 3.4, f"{measure} against latency of {len(points)} networks with the Pareto front")
    for point in points:
        title = f"<title>{html.escape(point.name)}: {point.percent:.2f} %, {point.ms:.3g} ms</title>"
        shown = shown.replace(f'id="point-{point.identifier}">', f'class="point" data-of="{point.identifier}">{title}')
    return shown


def layers(noise: Sequence[LayerNoise]) -> str:
    """SQNR from layer to layer; what is exact is a gap."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([float("nan") if n.sqnr_db is None else n.sqnr_db for n in noise], color=_ACCENT)
        axes.set_xlabel("layer, from the input to the output")
        axes.set_ylabel("SQNR, dB")
        axes.set_xlim(0, max(1, len(noise) - 1))

    return _svg(draw, 2.2, f"SQNR of {len(noise)} layers from input to output")


def spreads(found: Sequence[Spread]) -> str:
    """A histogram each, counts on a logarithmic axis, with the range of the integers."""

    def draw(figure: Figure) -> None:
        for axes, spread in zip(figure.subplots(len(found), squeeze=False)[:, 0], found):
            _histogram(axes, spread)

    return _svg(draw, 1.25 * len(found), f"Values of {len(found)} tensors in calibration, and their integers' ranges")


def _histogram(axes: Axes, spread: Spread) -> None:
    width = (spread.last - spread.first) / len(spread.counts)
    edges = [spread.first + width * i for i in range(len(spread.counts) + 1)]
    axes.stairs(spread.counts, edges, fill=True, color=_MUTED)
    reach = spread.last - spread.first
    left, right = min(0.0, spread.first) - 0.2 * reach, max(0.0, spread.last) + 0.2 * reach
    outside = ""
    for place in (spread.low, spread.high):
        if left <= place <= right:
            axes.axvline(place, color=_SECOND, linewidth=1.5)
        else:
            outside = ", beyond the axis"
    axes.set_xlim(left, right)
    axes.set_yscale("log")
    axes.set_yticks([])
    axes.minorticks_off()
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    name = spread.tensor if len(spread.tensor) <= _TITLE else f"…{spread.tensor[1 - _TITLE :]}"
    axes.set_title(name, fontsize=9, loc="left", pad=12)
    said = f"{spread.bits} bits, {spread.low:.3g} to {spread.high:.3g}{outside}"
    axes.text(0, 1.02, said, fontsize=8, transform=axes.transAxes)


def _name_points(figure: Figure, axes: Axes, front: Sequence[Point]) -> None:
    """Name the points of the front, but those whose names would lie on others."""
    figure.canvas.draw()
    taken: list[Any] = []
    for point in reversed(front):
        for offset, side in (((-6, 5), "right"), ((6, -11), "left"), ((6, 5), "left")):
            text = axes.annotate(
                point.name, (point.ms, point.percent), offset, textcoords="offset points", ha=side, fontsize=8
            )
            box = text.get_window_extent()
            inside = box.x0 > axes.bbox.x0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _svg(draw: Callable[[Figure], None], height: float, label: str) -> str:
    """What `draw` puts in a figure of so many inches, as an element of the page."""
    import matplotlib  # a second, and only where charts are made
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _embedded(buffer.getvalue(), label, next(_numbers))


def _embedded(text: str, label: str, number: int) -> str:
    """An SVG file as an element: no prolog, names unique on the page, short numbers, the page's colours and font."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r' id="(?!point-)((?:figure|axes|patch|line2d|matplotlib|text|xtick|ytick)[\w.]*)"', "", text)
    text = re.sub(r'(id="|url\(#|href="#)(?!point-)', rf"\g<1>c{number}-", text)
    for drawn, shown in _COLORS.items():
        text = text.replace(drawn, shown)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r">\s+<", "><", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1).strip()
