"""Seeded noise that resembles natural pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def texture(
    rng: np.random.Generator, shape: tuple[int, int, int], contrast: float, mean: float | NDArray[Any]
) -> NDArray[Any]:
    """Noise (C, H, W) whose power falls as 1 / frequency^2 (Field, 1987), the channels largely alike.

    Args:
        rng: draws it.
        shape: channels, height, width.
        contrast: standard deviation over the picture, in grey levels.
        mean: grey level, of all channels or of each.
    """
    channels, height, width = shape
    frequency = np.hypot(np.fft.fftfreq(height, 1.0)[:, None], np.fft.rfftfreq(width, 1.0)[None])
    frequency[0, 0] = 1.0
    shared, own = (np.fft.rfft2(rng.normal(size=(c, height, width))) / frequency for c in (1, channels))
    pixels: NDArray[Any] = np.fft.irfft2(2 * shared + own, s=(height, width))
    pixels *= contrast / pixels.std()
    shifted: NDArray[Any] = pixels - pixels.mean() + np.reshape(mean, (-1, 1, 1))
    return shifted
