"""What a model's integers mean: the content of `ext.json`, read and checked once.

    producer    who wrote it
    inputs      list of: name; shape, -1 on the batch axis; precision; scale; offset; zero (of pixels); start (several
                inputs are packed into one, `cvm.packing`); preprocess (`cvm.picture`, or what else makes the input);
                rows (how many a table has whose rows the integers number)
    outputs     list of: name, shape, precision, scale, offset; classes (how many there are, where the integers number
                classes: those that argmax finds)
    labels      class names by index, or null

A scale is an exact fraction "num/den", or a list of them, one per channel (axis 1); real = (integer + offset) * scale.
Where an input has a `zero`, a fraction or a list of them likewise, it takes the bytes of pictures: pixel = integer +
offset, without any rounding, and real = (pixel - zero) * scale.
Every entry may be missing. Older folders have `input`, one entry, for `inputs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from cvm.errors import CVMError
from cvm.model import INPUT
from cvm.ops.base import MAX_PRECISION, Array, Shape
from cvm.packing import BATCH, Slot
from cvm.picture import Preprocess

EXT = "ext.json"
_FRACTION = re.compile(r"-?[0-9]{1,400}(/[0-9]{1,400})?\Z", re.ASCII)


@dataclass(frozen=True)
class Meaning:
    """How integers stand for real numbers: real = (integer + offset - zero) * scale; no scales where it is not known.

    There are zeros where integer + offset is a pixel of 0..255.
    """

    scales: tuple[Fraction, ...] = ()
    offset: int = 0
    zeros: tuple[Fraction, ...] = ()

    @property
    def pixels(self) -> bool:
        """Whether the integers are bytes of pictures, less the offset."""
        return bool(self.zeros)

    def scale(self, rank: int) -> float | Array:
        """The scale as a number, or, one per channel, shaped to broadcast along axis 1 of an array of that rank."""
        return _along_channels(self.scales, rank)

    def zero(self, rank: int) -> float | Array:
        """Likewise, the pixel that stands for 0; 0 where there are no pixels."""
        return _along_channels(self.zeros, rank) if self.zeros else 0.0

    @property
    def text(self) -> str:
        """The scale for a table."""
        return str(self.scales[0]) if len(self.scales) == 1 else f"{len(self.scales)} scales" if self.scales else ""


def _along_channels(numbers: tuple[Fraction, ...], rank: int) -> float | Array:
    if len(numbers) == 1:
        return float(numbers[0])
    values = np.array([float(number) for number in numbers])
    return values.reshape((1, -1) + (1,) * max(rank - 2, 0))


@dataclass(frozen=True)
class Input:
    """One input of the network; shape (-1 on the batch axis) and precision are None where they are not given.

    Where it numbers the rows of a table, as tokens do, `rows` is how many there are.
    """

    name: str = INPUT
    shape: Shape | None = None
    precision: int | None = None
    meaning: Meaning = Meaning()
    start: int = 0
    preprocess: Preprocess | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Output:
    """One output. Where its integers number classes, `classes` is how many there are."""

    name: str = ""
    shape: Shape | None = None
    precision: int | None = None
    meaning: Meaning = Meaning()
    classes: int | None = None


@dataclass(frozen=True)
class Description:
    """The content of an `ext.json`."""

    producer: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    labels: tuple[str, ...] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def slots(self) -> list[Slot]:
        """The places of several inputs in the packed one; none where there is one input."""
        if len(self.inputs) < 2:
            return []
        return [Slot(i.name, i.shape or (), i.precision or 0, i.start) for i in self.inputs]


def decode(content: bytes) -> Description:
    """Read the bytes of an `ext.json`; `CVMError` says what is wrong with which entry."""
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CVMError(f"{EXT} is not valid JSON ({str(error)[:80]})") from None
    return parse(document)


def parse(document: Any) -> Description:
    """Check what an `ext.json` holds; `CVMError` says what is wrong with which entry."""
    ext = _object(document, "it")
    given = ext.get("inputs")
    if given is None:
        given = [ext["input"]] if ext.get("input") is not None else []
    inputs = tuple(_input(entry, f"inputs[{i}]") for i, entry in enumerate(_list(given, "inputs")))
    outputs = tuple(_output(entry, f"outputs[{i}]") for i, entry in enumerate(_list(ext.get("outputs", []), "outputs")))
    labels = ext.get("labels")
    if labels is not None:
        labels = tuple(_text(label, f"labels[{i}]") for i, label in enumerate(_list(labels, "labels")))
    if len(inputs) > 1:
        _check_packed(inputs)
    return Description(_text(ext.get("producer", ""), "producer"), inputs, outputs, labels, ext)


def _check_packed(inputs: tuple[Input, ...]) -> None:
    end = 0
    for index, entry in enumerate(inputs):
        _require(
            entry.precision is not None
            and entry.shape is not None
            and entry.shape.count(BATCH) == 1
            and 0 not in entry.shape,
            f"inputs[{index}]",
            "one of several inputs needs a precision, and a shape with one -1",
        )
    _require(len({entry.name for entry in inputs}) == len(inputs), "inputs", "two have one name")
    for slot in sorted(Description(inputs=inputs).slots(), key=lambda slot: slot.start):
        _require(slot.start >= end, "inputs", f"{slot.name!r} begins inside another one")
        end = slot.stop


def _input(value: Any, where: str) -> Input:
    entry = _object(value, where)
    preprocess, rows = entry.get("preprocess"), entry.get("rows")
    return Input(
        name=_text(entry.get("name", INPUT), f"{where}.name"),
        shape=_shape(entry.get("shape"), f"{where}.shape"),
        precision=_precision(entry.get("precision"), f"{where}.precision"),
        meaning=_meaning(entry, where, entry.get("zero")),
        start=_integer(entry.get("start", 0), f"{where}.start", 0),
        preprocess=None if preprocess is None else _preprocess(preprocess, f"{where}.preprocess"),
        rows=None if rows is None else _integer(rows, f"{where}.rows", 1),
    )


def _output(value: Any, where: str) -> Output:
    entry = _object(value, where)
    classes = entry.get("classes")
    return Output(
        name=_text(entry.get("name", ""), f"{where}.name"),
        shape=_shape(entry.get("shape"), f"{where}.shape"),
        precision=_precision(entry.get("precision"), f"{where}.precision"),
        meaning=_meaning(entry, where),
        classes=None if classes is None else _integer(classes, f"{where}.classes", 1),
    )


def _preprocess(value: Any, where: str) -> Preprocess | None:
    try:
        return Preprocess.parse(_object(value, where))
    except CVMError as error:
        raise CVMError(f"{EXT}: {where}: {error}") from None


def _meaning(entry: Mapping[str, Any], where: str, zero: Any = None) -> Meaning:
    scales = tuple(_scale(item, f"{where}.scale") for item in _one_or_more(entry.get("scale"), f"{where}.scale"))
    zeros = tuple(_fraction(item, f"{where}.zero", "fraction") for item in _one_or_more(zero, f"{where}.zero"))
    fits = not zeros or (scales and len({len(scales), len(zeros)} - {1}) < 2)
    _require(bool(fits), f"{where}.zero", f"{len(zeros)} of them, with {len(scales)} scales")
    return Meaning(scales, _integer(entry.get("offset", 0), f"{where}.offset", -(2**31)), zeros)


def _one_or_more(value: Any, where: str) -> list[Any]:
    _require(value != [], where, "an empty list")
    return [] if value is None else value if isinstance(value, list) else [value]


def _scale(value: Any, where: str) -> Fraction:
    scale = _fraction(value, where, "scale")
    _require(scale >= 0, where, f"{value!r:.60} is not a scale")
    _require(float(scale) > 0, where, f"{value!r:.60} is too small for a scale")
    return scale


def _fraction(value: Any, where: str, what: str) -> Fraction:
    _require(isinstance(value, str) and _FRACTION.match(value) is not None, where, f"{value!r:.60} is not a {what}")
    try:
        fraction = Fraction(value)
        float(fraction)
    except (ZeroDivisionError, OverflowError):
        raise CVMError(f"{EXT}: {where}: {value!r:.60} is not a {what}") from None
    return fraction


def _shape(value: Any, where: str) -> Shape | None:
    if value is None:
        return None
    return tuple(_integer(dim, where, BATCH) for dim in _list(value, where))


def _precision(value: Any, where: str) -> int | None:
    return None if value is None else _integer(value, where, 1, MAX_PRECISION)


def _integer(value: Any, where: str, low: int, high: int = 2**31) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool), where, f"{value!r:.60} is not an integer")
    _require(low <= value <= high, where, f"{value!r:.60} is not in {low}..{high}")
    return int(value)


def _text(value: Any, where: str) -> str:
    _require(isinstance(value, str), where, f"{value!r:.60} is not a text")
    return str(value)


def _list(value: Any, where: str) -> list[Any]:
    _require(isinstance(value, list), where, "must be a list")
    return list(value)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    _require(isinstance(value, dict), where, "must be an object")
    return dict(value)


def _require(condition: bool, where: str, message: str) -> None:
    if not condition:
        raise CVMError(f"{EXT}: {where}: {message}")
