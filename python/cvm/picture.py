"""From a picture to a network's input, as `ext.json` records that the calibration data was made.

The record (`inputs[i].preprocess`): `layout` NCHW; `channels` RGB or grey; `resize`, the length of the shorter side
before the centre is cropped to the input's size, or [height, width], or null for pictures of that size already;
`interpolation` (`cvm.resize`); `mean`, `std` (per channel) and `scale`: input = (pixel / scale - mean) / std in single
precision.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvm.errors import CVMError
from cvm.files import read_file
from cvm.ops.base import Array
from cvm.resize import BILINEAR, BY_SIZE, INTERPOLATIONS, resize

RGB, GREY = "RGB", "grey"


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes network input; see the module."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    channels: str
    size: int | tuple[int, int] | None = None
    interpolation: str = BILINEAR

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Preprocess | None:
        """Read the record; None where the input is no picture. Raises `CVMError` for a damaged one."""
        if record.get("layout") != "NCHW" or "mean" not in record:
            return None
        mean, std = _numbers(record, "mean"), _numbers(record, "std")
        (scale,) = _numbers({"scale": [record.get("scale")]}, "scale")
        size = record.get("resize")
        if isinstance(size, list) and len(size) == 2 and all(_is_side(side) for side in size):
            size = (size[0], size[1])
        elif size is not None and not _is_side(size):
            raise CVMError(f"resize: {size!r:.60} is neither a length nor [height, width]")
        # Folders from before the record had it: detectors resize by size.
        interpolation = record.get("interpolation") or (BY_SIZE if isinstance(size, tuple) else BILINEAR)
        if interpolation not in INTERPOLATIONS:
            raise CVMError(f"interpolation: {interpolation!r:.60} is not one of {', '.join(INTERPOLATIONS)}")
        channels = record.get("channels")
        if channels not in (RGB, GREY):
            raise CVMError(f"channels: {channels!r:.60} is neither {RGB} nor {GREY}")
        count = 3 if channels == RGB else 1
        if len(mean) != count or len(std) != count or min(std) <= 0 or scale <= 0:
            raise CVMError(f"mean and std must have {count} values, std and scale be positive")
        return cls(mean, std, scale, channels, size, interpolation)

    def __call__(self, picture: Any, height: int, width: int) -> Array:
        """Network input (1, C, height, width) in float32.

        `picture` is an array of bytes, (H, W, C), or (H, W) if grey; or a PIL picture or the path of a PNG or JPEG
        file, which need Pillow. Raises `CVMError` for anything else and for a size that cannot be had.
        """
        scaled = self.pixels(picture, height, width).astype(np.float32) / np.float32(self.scale)
        mean, std = (np.asarray(v, np.float32).reshape(1, -1, 1, 1) for v in (self.mean, self.std))
        return np.ascontiguousarray((scaled - mean) / std)

    def pixels(self, picture: Any, height: int, width: int) -> Array:
        """The same before mean, std and scale: bytes (1, C, height, width)."""
        return np.ascontiguousarray(self._cut(self._pixels(picture), height, width).transpose(2, 0, 1)[None])

    def _pixels(self, picture: Any) -> Array:
        """Bytes (H, W, C)."""
        if isinstance(picture, (str, os.PathLike)):
            picture = open_picture(Path(picture))
        if hasattr(picture, "convert"):  # a PIL picture
            picture = np.asarray(picture.convert("RGB" if self.channels == RGB else "L"))
        pixels = np.asarray(picture)
        if pixels.ndim == 2 and self.channels == GREY:
            pixels = pixels[:, :, None]
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != len(self.mean) or 0 in pixels.shape:
            raise CVMError(
                f"the picture is {pixels.dtype} of shape {pixels.shape}, expected uint8 (H, W, {len(self.mean)})"
            )
        return pixels

    def _cut(self, pixels: Array, height: int, width: int) -> Array:
        before = pixels.shape[:2]
        if isinstance(self.size, tuple):
            pixels = resize(pixels, *self.size, self.interpolation)
        elif self.size is not None:
            new_height, new_width = (self.size * side // min(before) for side in before)
            pixels = resize(pixels, new_height, new_width, self.interpolation)
            top, left = ((side - wanted) // 2 for side, wanted in zip(pixels.shape, (height, width)))
            pixels = pixels[max(top, 0) : top + height, max(left, 0) : left + width]
        if pixels.shape[:2] != (height, width):
            raise CVMError(f"the picture is {before[0]} x {before[1]}, which does not give {height} x {width}")
        return pixels


def open_picture(path: Path) -> Any:
    """A picture file as a PIL picture, not turned by its EXIF data; `CVMError` where it cannot be read."""
    try:
        from PIL import Image
    except ImportError:
        raise CVMError(f"{path}: reading pictures needs Pillow; pip install pillow") from None
    content = read_file(path)
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
        return picture
    except Exception as error:  # damaged files raise nearly anything
        raise CVMError(f"{path} is not a readable picture ({' '.join(str(error).split())[:80]})") from None


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**16


def _numbers(record: Mapping[str, Any], key: str) -> tuple[float, ...]:
    values = record.get(key)
    fine = (
        isinstance(values, list)
        and values
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    )
    if not fine or values is None:
        raise CVMError(f"{key}: {values!r:.60} is not a list of numbers")
    return tuple(float(v) for v in values)
