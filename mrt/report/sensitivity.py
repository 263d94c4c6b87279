"""The report of `mrt sensitivity`: what each operator's quantization costs, as JSON, as a table and as a bar chart."""

import io
import math
from pathlib import Path
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

from mrt.atomic import atomic_write

__all__ = ["CAUSES", "Effect", "OperatorSensitivity", "Sensitivity"]

CAUSES = ("range", "rounding", "clipping", "scale error")
_COLORS = dict(zip(CAUSES, ("#d1495b", "#edae49", "#30638e", "#6c757d")))
_WORST = 10
_HEADERS = (
    "operator",
    "kind",
    "only it in integers: SQNR (dB)",
    "lost",
    "agreement",
    "all but it: SQNR (dB)",
    "gained (dB)",
    "lost",
    "cause",
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Effect(_Part):
    """A network compared with the float network.

    Attributes:
        noise: noise-to-signal ratio, Σ (float - other)² / Σ float², the mean over the outputs.
        agreement: part of the samples with the same top-1 class, 0 to 1; None where the first output is no classes.
        score: the dataset's primary metric, 0 to 1; None where it does not judge this network.
    """

    noise: float
    agreement: Optional[float] = None
    score: Optional[float] = None

    @property
    def sqnr_db(self) -> float:
        """-10·log10(noise); infinite where nothing was lost."""
        return -10 * math.log10(self.noise) if self.noise > 0 else math.inf


class OperatorSensitivity(_Part):
    """One operator of the prepared network.

    Attributes:
        name: its node; `operator`, the MXNet operator.
        only: the float network with this operator in integers.
        left: the integer network with this operator in float; None where it was not measured.
        causes: share of each cause in what the operator's own output loses; they add up to 1.
        peak: largest magnitude of its input, in root mean squares of it.
        macs: multiply-accumulates for one sample, of convolution and dense layers.
        reads_input: whether it reads the network's input, itself or moved.
    """

    name: str
    operator: str
    only: Effect
    left: Optional[Effect] = None
    causes: dict[str, float]
    peak: float
    macs: int = 0
    reads_input: bool = False

    @property
    def cause(self) -> str:
        """The cause with the largest share."""
        return max(CAUSES, key=lambda cause: self.causes[cause])

    @property
    def explanation(self) -> str:
        """The cause in words, with its share."""
        share = f"{self.causes[self.cause]:.0%}"
        peak = f"its largest value is {self.peak:.0f} times its rms"
        if self.reads_input:
            peak += "; it is the network's: Input_precision"
        return {
            "range": f"range: rounding the input loses {share} ({peak})",
            "rounding": f"rounding: the weights lose {share}",
            "clipping": f"clipping: saturating the input loses {share}",
            "scale error": f"scale error: bias, multiplier, table and stored output lose {share}",
        }[self.cause]


class Sensitivity(_Part):
    """What `mrt sensitivity` found out.

    Attributes:
        pictures: how many of the evaluation's it was measured on.
        metric: the name of the scores; None where the dataset's metric does not judge this network.
        float_score: of the float network.
        quantized: the integer network.
        operators: in the order of the network.
        seconds: of each stage, by name.
        configuration: as in `Config.as_dict`.
    """

    model: str
    dataset: str
    pictures: int
    metric: Optional[str] = None
    float_score: Optional[float] = None
    quantized: Effect
    operators: list[OperatorSensitivity]
    seconds: dict[str, float] = {}
    configuration: dict[str, Any] = {}

    def worst(self, count: int = _WORST) -> list[OperatorSensitivity]:
        """The operators that add most noise when they alone are in integers."""
        return sorted(self.operators, key=lambda operator: -operator.only.noise)[:count]

    def json_text(self) -> str:
        """The report as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"

    def summary(self) -> str:
        """The whole network in one line, and the worst operators with their causes."""
        whole = [f"SQNR {_db(self.quantized)} dB"]
        if self.quantized.agreement is not None:
            whole.append(f"agreement {self.quantized.agreement:.2%}")
        if self.float_score is not None and self.quantized.score is not None:
            whole.append(f"{self.metric} {self.float_score:.2%} -> {self.quantized.score:.2%}")
        lines = [f"{self.model}, all in integers, {self.pictures} of {self.dataset}: {', '.join(whole)}", ""]
        rows = [(o.name, o.operator, _db(o.only), _db(o.left), o.explanation) for o in self.worst()]
        headers = ("worst operators", "kind", "only it: SQNR", "all but it", "cause")
        return "\n".join(lines) + tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True) + "\n"

    def markdown(self) -> str:
        """The summary, and a row for every operator."""
        rows = [
            (
                o.name,
                o.operator,
                _db(o.only),
                self._lost(o.only),
                "-" if o.only.agreement is None else f"{o.only.agreement:.2%}",
                _db(o.left),
                "-" if o.left is None else f"{o.left.sqnr_db - self.quantized.sqnr_db:+.2f}",
                self._lost(o.left),
                ", ".join(f"{cause} {o.causes[cause]:.0%}" for cause in CAUSES if o.causes[cause] >= 0.005) or "-",
            )
            for o in self.operators
        ]
        lost = f"{self.metric} lost" if self.metric else "lost"
        headers = [lost if header == "lost" else header for header in _HEADERS]
        return self.summary() + "\n" + tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True) + "\n"

    def _lost(self, effect: Optional[Effect]) -> str:
        if effect is None or effect.score is None or self.float_score is None:
            return "-"
        return f"{100 * (self.float_score - effect.score):.2f}"

    def chart(self) -> bytes:
        """A PNG: for each operator the noise it adds alone, split by cause, and what leaving it in float gains."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # no window, and only here: it takes a second
        from matplotlib.figure import Figure

        operators = self.operators
        figure = Figure(figsize=(11, 1.6 + 0.2 * len(operators)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        places = range(len(operators))
        start = [0.0] * len(operators)
        unit = 100 / sum(o.only.noise for o in operators) if any(o.only.noise for o in operators) else 0.0
        for cause in CAUSES:
            widths = [unit * o.only.noise * o.causes[cause] for o in operators]
            left.barh(places, widths, left=start, color=_COLORS[cause], label=cause)
            start = [a + b for a, b in zip(start, widths)]
        for place, operator, end in zip(places, operators, start):
            left.annotate(f" {_db(operator.only)} dB", (end, place), va="center", fontsize=7, annotation_clip=False)
        left.set_yticks(list(places), [o.name for o in operators], fontsize=7)
        left.set_ylim(len(operators) - 0.5, -0.5)
        left.set_xlim(0, 1.12 * max(start, default=1.0) or 1.0)
        left.set_xlabel("only it in integers: share of the noise, % (beside: SQNR)")
        left.legend(fontsize=8, loc="lower right")
        gains = [o.left.sqnr_db - self.quantized.sqnr_db if o.left else 0.0 for o in operators]
        right.barh(places, gains, color="#3a7d44")
        right.set_xlabel("all but it in integers: SQNR gained, dB")
        right.axvline(0, color="black", linewidth=0.6)
        for axes in (left, right):
            axes.grid(axis="x", linewidth=0.3)
            axes.set_axisbelow(True)
        figure.suptitle(f"{self.model}: SQNR {_db(self.quantized)} dB, {self.pictures} of {self.dataset}")
        buffer = io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    def write(self, folder: Path) -> list[Path]:
        """Write `<folder>/<model>.sensitivity.json`, `.md` and `.png`, each whole or not at all; return their paths."""
        base = f"{self.model}.sensitivity"
        return [
            atomic_write(folder / f"{base}.json", self.json_text()),
            atomic_write(folder / f"{base}.md", self.markdown()),
            atomic_write(folder / f"{base}.png", self.chart()),
        ]


def _db(effect: Optional[Effect]) -> str:
    if effect is None:
        return "-"
    return "exact" if math.isinf(effect.sqnr_db) else f"{effect.sqnr_db:.1f}"
