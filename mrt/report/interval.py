"""95 % intervals of shares and of their differences."""

from __future__ import annotations

_Z = 1.959964  # the normal distribution's 97.5th percentile

Interval = tuple[float, float]


def wilson(share: float, samples: int) -> Interval:
    """The interval of a share of `samples` (Wilson, Probable inference, the law of succession, 1927)."""
    centre = share + _Z**2 / (2 * samples)
    spread = _Z * (share * (1 - share) / samples + _Z**2 / (4 * samples**2)) ** 0.5
    scale = 1 + _Z**2 / samples
    return (centre - spread) / scale, (centre + spread) / scale


def paired(difference: float, disagreement: float, samples: int) -> Interval:
    """The interval of the difference of two shares of the same `samples` (Agresti and Min, 2005: half a sample a cell).

    `disagreement` is the share on which the two predict differently. Only there can one be right and the other wrong,
    so it stands for the share where that is so, and the interval is rather too wide than too narrow.
    """
    count = samples + 2
    middle, apart = difference * samples / count, (disagreement * samples + 1) / count
    spread = _Z * (max(apart - middle**2, 0.0) / count) ** 0.5
    return middle - spread, middle + spread


def unpaired(one: float, other: float, samples: int, others: int) -> Interval:
    """The interval of `one - other`, shares of different samples (Agresti and Caffo, 2000: a hit and a miss each)."""
    p, q = (one * samples + 1) / (samples + 2), (other * others + 1) / (others + 2)
    spread = _Z * (p * (1 - p) / (samples + 2) + q * (1 - q) / (others + 2)) ** 0.5
    return p - q - spread, p - q + spread
