"""Pictures of the evaluation with what both networks say of them, kept for the report."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mrt.datasets import Dataset
from mrt.datasets.metric import holds_classes
from mrt.datasets.segmentation_metric import classes_of
from mrt.graph import Array
from mrt.graph.batch import Feed
from mrt.report.details import Example

_COUNT = 6
_SIDE = 112  # pixels at most
_LARGER_SIDE = 224  # where boxes or classes of pixels are to be told apart
_ROW = 6
_SURE = 0.5
_MOST_BOXES = 20
_MOST_CLASSES = 3
_NONE = 255  # the palette's place of pixels of no class
_GOLDEN = 0.618034
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988")


class Examples:
    """Keeps the first pictures that it is shown; none where the network reads no pictures.

    Args:
        dataset: knows how pictures became network input, and the classes' names.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.kept: list[Example] = []
        self._dataset = dataset
        self._made = dataset.preprocess_info() or {}

    def add(self, feed: Feed, labels: Array, floats: Sequence[Array], integers: Sequence[Array]) -> None:
        """A batch with the real outputs of the float network and of the integer one."""
        if not self._made.get("channels") or not isinstance(feed, np.ndarray) or feed.ndim != 4:
            return
        for index in range(min(len(feed), _COUNT - len(self.kept))):
            if all(len(output) == len(feed) for output in floats):
                one = [output[index] for output in floats]
                self._keep(feed[index], labels[index], one, [output[index] for output in integers])

    def _keep(self, pixels: Array, label: Any, floats: Sequence[Array], integers: Sequence[Array]) -> None:
        picture = self._picture(pixels)
        first = floats[0]
        if first.ndim == 0:
            truth = self._name(int(label)) if np.ndim(label) == 0 and self._dataset.labelled else None
            self._add(_small(picture, _SIDE), truth, [self._name(int(o[0])) for o in (floats, integers)], [None, None])
        elif first.ndim == 1:
            truth = self._name(int(label)) if np.ndim(label) == 0 and self._dataset.labelled else None
            said = [f"{self._name(int(o[0].argmax()))} ({float(o[0].max()):.3g})" for o in (floats, integers)]
            self._add(_small(picture, _SIDE), truth, said, [None, None])
        elif holds_classes(first[None]) or (first.ndim == 3 and first.shape[0] > 1 and first.shape[1:] != (1, 1)):
            maps = [classes_of(output[0][None])[0] for output in (floats, integers)]
            marked = self._dataset.labelled and np.shape(label) == maps[0].shape
            said = [self._shares(classes, named=marked) for classes in maps]  # else, names are of whole pictures
            said[1] += f"; {float((maps[0] == maps[1]).mean()):.2%} alike"
            large = picture.resize(_fitting(picture, _LARGER_SIDE), Image.Resampling.LANCZOS)
            self._add(_encoded(large, "JPEG"), None, said, [*map(_map, maps)], _map(label) if marked else None)
        elif all(output.ndim == 2 for output in floats) and sum(output.shape[-1] for output in floats) == _ROW:
            found = [_boxes(np.concatenate(list(outputs), axis=-1)) for outputs in (floats, integers)]
            said = [self._listed(rows) for rows in found]
            drawn = [_small(self._drawn(picture, rows), _LARGER_SIDE) for rows in found]
            self._add(_small(picture, _SIDE), None, said, drawn)

    def _add(
        self,
        picture: str,
        truth: str | None,
        said: Sequence[str],
        drawn: Sequence[str | None],
        mask: str | None = None,
    ) -> None:
        self.kept.append(
            Example(
                picture=picture,
                truth=truth,
                float=said[0],
                integer=said[1],
                float_picture=drawn[0],
                integer_picture=drawn[1],
                truth_picture=mask,
            )
        )

    def _picture(self, pixels: Array) -> Image.Image:
        mean, std = (np.reshape(self._made[key], (-1, 1, 1)) for key in ("mean", "std"))
        stored = np.clip((pixels * std + mean) * self._made["scale"], 0, 255).round().astype(np.uint8)
        return Image.fromarray(stored[0] if len(stored) == 1 else stored.transpose(1, 2, 0))

    def _name(self, number: int) -> str:
        names = self._dataset.labels
        return names[number] if names and 0 <= number < len(names) else f"class {number}"

    def _shares(self, classes: Array, named: bool) -> str:
        """The classes of most pixels."""
        numbers, counts = np.unique(classes, return_counts=True)
        most = np.argsort(-counts, kind="stable")[:_MOST_CLASSES]
        names = [self._name(int(numbers[i])) if named else f"class {numbers[i]}" for i in most]
        return ", ".join(f"{name} {counts[i] / classes.size:.0%}" for name, i in zip(names, most))

    def _listed(self, rows: Array) -> str:
        return ", ".join(f"{self._name(int(row[0]))} {row[1]:.0%}" for row in rows) or "no box"

    def _drawn(self, picture: Image.Image, rows: Array) -> Image.Image:
        copy = picture.convert("RGB")
        draw = ImageDraw.Draw(copy)
        for number, _, *corners in rows.tolist():
            left, top, right, bottom = corners
            color = _COLORS[int(number) % len(_COLORS)]
            draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=color, width=3)
        return copy


def _boxes(rows: Array) -> Array:
    """The boxes that the detector is sure of, the best first."""
    sure = rows[(rows[:, 0] >= 0) & (rows[:, 1] >= _SURE)]
    best: Array = sure[np.argsort(-sure[:, 1], kind="stable")][:_MOST_BOXES]
    return best


def _map(classes: Array) -> str:
    """A picture with a colour for each class; black where there is none."""
    picture = Image.fromarray(np.where(classes < 0, _NONE, classes % _NONE).astype(np.uint8), mode="P")
    picture.putpalette([*(part for number in range(_NONE) for part in _color(number)), 0, 0, 0])
    return _encoded(picture.resize(_fitting(picture, _LARGER_SIDE), Image.Resampling.NEAREST), "PNG")


def _color(number: int) -> tuple[int, int, int]:
    """A class's: of the first ones those of boxes, then hues a golden section apart, brighter and darker in turn."""
    if number < len(_COLORS):
        return tuple(int(_COLORS[number][i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[return-value]
    parts = colorsys.hls_to_rgb(number * _GOLDEN % 1, (0.4, 0.65)[number % 2], 0.6)
    return tuple(round(255 * part) for part in parts)  # type: ignore[return-value]


def _small(picture: Image.Image, side: int) -> str:
    if max(picture.size) > side:
        picture = picture.resize(_fitting(picture, side), Image.Resampling.LANCZOS)
    return _encoded(picture, "JPEG" if max(picture.size) > _SIDE // 2 else "PNG")


def _fitting(picture: Image.Image, side: int) -> tuple[int, int]:
    width, height = (max(1, round(size * side / max(picture.size))) for size in picture.size)
    return width, height


def _encoded(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 80} if kind == "JPEG" else {"optimize": True}))
    return base64.b64encode(buffer.getvalue()).decode()
