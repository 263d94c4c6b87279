"""Says so where the integer network is far from the float one, with what costs it most and what to do."""

from __future__ import annotations

from mrt.report.report import Report

POOR_DB = 10.0
"""Below this, noise is more than a tenth of the signal."""
_FAINT_DB = 0.5  # nothing of the signal is left
_WIDEST = "auto"


def is_poor(report: Report) -> bool:
    """Whether an output of the integer network has less than `POOR_DB` of signal to noise."""
    return any(ratio is not None and ratio < POOR_DB for ratio in report.sqnr_outputs_db)


def notice(report: Report) -> str | None:
    """One line for a report with an output that is poor, else None; trained integers are no approximation of the float
    network.
    """
    if not is_poor(report) or report.qat is not None or report.sharing is not None:
        return None
    least = min(ratio for ratio in report.sqnr_outputs_db if ratio is not None)
    text = f"the integer network is far from the float one (SQNR {least:.1f} dB)"
    if report.costly_layers:
        worst = report.costly_layers[0]
        text += f"; node {worst.node} ({worst.operator}) costs most: {worst.sqnr_db:.1f} dB are left after it"
    advice = ["mrt sensitivity says why"]
    precision = report.configuration.get("QUANTIZATION", {}).get("Precision")
    if least < _FAINT_DB:
        advice.insert(0, "look for values that are all but zero, or far beyond all others, there")
    elif precision != _WIDEST:
        advice.insert(0, "[QUANTIZATION] Precision=auto gives 16 bits to what gains most")
    return f"{text}; {'; '.join(advice)}"
