"""What a run tells its user: progress while it lasts, a report when it is done."""

from __future__ import annotations

from mrt.report.progress import Progress, Step
from mrt.report.report import BitExact, Latency, LayerCost, Report, SizeBytes

__all__ = ["BitExact", "Latency", "LayerCost", "Progress", "Report", "SizeBytes", "Step"]
