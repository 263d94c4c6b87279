"""Pictures of any size brought to the size of a network's input, as MXNet's own transforms do."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from mrt.errors import MRTError, Remedy

_BILINEAR = 1
_DEEP = ("I", "F")  # how Pillow's modes of more than 8 bits begin
_MASK_AXES = 2
_CONTRAST = 0.3  # at most so much more or less
_BRIGHTNESS = 32  # grey levels, likewise


def shorter_side(size: tuple[int, int], crop: float) -> int:
    """What a picture's shorter side is resized to, for a network's (height, width)."""
    return math.ceil(max(size) / crop)


def resize_and_crop(picture: Any, size: tuple[int, int], crop: float) -> NDArray[Any]:
    """The centre (height, width) of an MXNet picture (H, W, C), its shorter side resized first, as (C, height, width).

    Raises:
        MXNetError: MXNet cannot resize it.
    """
    short = shorter_side(size, crop)
    if min(picture.shape[:2]) != short:
        picture = mx.image.resize_short(picture, short, interp=_BILINEAR)
    pixels: NDArray[Any] = picture.asnumpy()
    top, left = ((have - wanted) // 2 for have, wanted in zip(pixels.shape, size))
    return pixels[top : top + size[0], left : left + size[1]].transpose(2, 0, 1)


def read_picture(path: Path, channels: int) -> NDArray[Any]:
    """The pixels of a PNG or JPEG file, turned as its EXIF data says: (H, W, channels) bytes, grey of 1, RGB of 3.

    Raises:
        MRTError: it is no picture, is damaged, or has more than 8 bits a channel.
    """
    pixels = _opened(path, lambda picture: ImageOps.exif_transpose(picture).convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_mask(path: Path) -> NDArray[Any]:
    """The class numbers of a PNG file of a palette or of grey levels: (H, W) bytes.

    Raises:
        MRTError: it is no such picture, or damaged.
    """
    pixels = _opened(path, lambda picture: picture)
    if pixels.ndim != _MASK_AXES or pixels.dtype != np.uint8:
        raise MRTError(f"{path}: is no mask of class numbers, which has 8 bits for a pixel, of a palette or of grey")
    return pixels


def recoloured(pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Pictures (N, C, H, W) with other colours, drawn: channels change places, contrast and brightness change."""
    count, channels, _, _ = pixels.shape
    order = np.argsort(rng.random((count, channels)), axis=1)
    contrast = rng.uniform(1 - _CONTRAST, 1 + _CONTRAST, (count, 1, 1, 1)).astype(np.float32)
    brightness = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS, (count, channels, 1, 1)).astype(np.float32)
    mixed = np.take_along_axis(pixels, order[:, :, None, None], axis=1).astype(np.float32)
    changed: NDArray[Any] = np.clip((mixed - 128) * contrast + 128 + brightness, 0, 255)
    return changed


def _opened(path: Path, decode: Callable[[Any], Any]) -> NDArray[Any]:
    """The pixels of what `decode` makes of a picture file."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # importing GluonCV switches it on, for everybody
    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(_DEEP):
                raise MRTError(f"{path}: has more than 8 bits for a pixel", Remedy.OWN_ARRAYS)
            return np.asarray(decode(picture))
    except UnidentifiedImageError:
        raise MRTError(f"{path}: is no picture that can be read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MRTError(f"{path}: cannot be read as a picture: {error}") from None
