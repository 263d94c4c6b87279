"""One network's line of a table of reports."""

from __future__ import annotations

from dataclasses import dataclass

from mrt.report.interval import Interval, paired
from mrt.report.published import Published
from mrt.report.read import Found
from mrt.report.report import Report


@dataclass(frozen=True)
class Row:
    """What the tables show of a network.

    Attributes:
        found: its report.
        published: what was published of it, where that was given.
    """

    found: Found
    published: Published | None = None

    @property
    def report(self) -> Report:
        """What the run found out."""
        return self.found.report

    @property
    def metric(self) -> str | None:
        """The name of the first metric; None where nothing judged the network."""
        return next(iter(self.report.accuracy.get("float", {})), None)

    @property
    def float_score(self) -> float | None:
        """The float network's first metric."""
        return self._score("float")

    @property
    def integer_score(self) -> float | None:
        """The integer network's: compiled where it was, else the integer graph's."""
        compiled = self._score("cvm")
        return self._score("quantized") if compiled is None else compiled

    @property
    def lost(self) -> float | None:
        """What the integers lost of the first metric: a share, or in the metric's own unit."""
        one, other = self.float_score, self.integer_score
        return None if one is None or other is None else one - other

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of `lost`: the metric's own, or of a share of the samples `mrt.report.interval.paired`."""
        report, lost = self.report, self.lost
        if self.metric in report.loss_intervals:
            return report.loss_intervals[self.metric]
        of_samples = bool(self.metric and self.metric.startswith("top") and report.percent)
        if lost is None or report.agreement is None or not report.samples or not of_samples:
            return None
        return paired(lost, 1 - report.agreement, report.samples)

    @property
    def integer_ms(self) -> float | None:
        """Latency of the compiled model, else of the integer graph."""
        latency = self.report.latency_ms
        return latency.quantized if latency.cvm is None else latency.cvm

    def _score(self, executor: str) -> float | None:
        return self.report.accuracy.get(executor, {}).get(self.metric or "")
