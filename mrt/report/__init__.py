"""What a run tells its user: progress while it lasts, a report when it is done."""

from __future__ import annotations

from mrt.report.progress import Progress, Step
from mrt.report.report import BitExact, LayerCost, OfEach, Report, SizeBytes, Used

__all__ = ["BitExact", "LayerCost", "OfEach", "Progress", "Report", "SizeBytes", "Step", "Used"]
