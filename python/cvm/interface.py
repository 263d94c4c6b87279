"""From what a user holds (pictures, real numbers, several inputs) to a model's integers and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Union

import numpy as np

from cvm.description import Description, Input, Meaning
from cvm.errors import CVMError, CVMWarning
from cvm.ops.base import Array, Shape, limit
from cvm.packing import check_names, pack, packed_precision
from cvm.picture import Preprocess
from cvm.quantization import beyond, dequantize, saturate, steps

INDICES = Meaning((Fraction(1),))
"""Integers that stand for themselves."""
Values = Union[Array, Mapping[str, Array]]
"""One array, or one for each input, by name."""


@dataclass(frozen=True)
class Prediction:
    """A class: its index, its label where the model has labels, and the real value of its output.

    Of a model that gives classes, that is the share of the picture's places that are of it, from 0 to 1.
    """

    index: int
    label: str | None
    score: float

    def __str__(self) -> str:
        """A line of a table."""
        return f"{self.score:10.4f}  {self.index if self.label is None else self.label}"


class Interface:
    """The input and output side of one model, for whichever executor runs it.

    Raises `CVMError` where the description does not fit the model's input, of shape `shape` and precision `precision`.
    """

    def __init__(self, description: Description, shape: Shape, precision: int) -> None:
        self.description = description
        self._precision = precision
        self._slots = description.slots()
        self._has_warned = False
        if self._slots:
            width = max(slot.stop for slot in self._slots)
            if len(shape) != 2 or shape[1] != width or packed_precision(self._slots) > precision:
                raise CVMError(
                    f"ext.json: its {len(self._slots)} inputs take {width} values a row of precision "
                    f"{packed_precision(self._slots)}, the model's input has shape {shape} and precision {precision}"
                )

    def integers(self, values: Values) -> Array:
        """The integers that the model takes, int8 or int32: `values` as they are, several inputs packed.

        Bytes (uint8) for an input of pixels are pictures: its offset is taken off them.
        """
        self._check_rows(values)
        if isinstance(values, Mapping):
            if self._slots:
                known = {entry.name: entry for entry in self.description.inputs}
                return pack(self._slots, {n: _of_pixels(known.get(n), np.asarray(v)) for n, v in values.items()})
            values = self._only(values)
        given = np.asarray(values)
        array: Array = _of_pixels(next(iter(self.description.inputs), None), given)
        if array.dtype.kind not in "iu":
            raise CVMError(f"the input must hold integers, got {array.dtype}; see quantize_input")
        if array is not given or array.dtype not in (np.int8, np.int32):
            array = saturate(array, self._precision)  # now, so that no conversion wraps
        return array

    def quantize(self, values: Values) -> Array:
        """The integers of real values, as `cvm.quantization` rounds; several inputs packed.

        Warns, once for a model, of values beyond what the integers can hold. Raises `CVMError` where `ext.json` gives
        no scale, or for numbers of rows that a table does not have.
        """
        self._check_rows(values)
        if not isinstance(values, Mapping):
            if self._slots:
                names = ", ".join(slot.name for slot in self._slots)
                raise CVMError(f"the model has several inputs ({names}): give an array for each, by name")
            return self._quantized(self._input(0), values, self._precision)
        if not self._slots:
            return self._quantized(self._input(0), self._only(values), self._precision)
        check_names([slot.name for slot in self._slots], values)
        inputs = self.description.inputs
        return pack(self._slots, {i.name: self._quantized(i, values[i.name], i.precision or 0) for i in inputs})

    def accept(self, values: Values) -> Array:
        """The integers of arrays of either kind: integers are taken as they are, real values are quantized."""
        if not isinstance(values, Mapping):
            return self.integers(values) if np.asarray(values).dtype.kind in "iu" else self.quantize(values)
        if not self._slots:
            return self.accept(self._only(values))
        self._check_rows(values)
        check_names([slot.name for slot in self._slots], values)
        arrays = {name: np.asarray(array) for name, array in values.items()}
        for entry in self.description.inputs:
            if arrays[entry.name].dtype.kind not in "iu":
                arrays[entry.name] = self._quantized(entry, arrays[entry.name], entry.precision or 0)
        return self.integers(arrays)

    def dequantize(self, integers: Array, head: int = 0) -> Array:
        """The real values of the integers of a head; `CVMError` where `ext.json` gives no scale for it."""
        outputs = self.description.outputs
        if not 0 <= head < len(outputs) or not outputs[head].meaning.scales:
            raise CVMError(f"ext.json gives no scale for output {head}")
        meaning = outputs[head].meaning
        return dequantize(integers, meaning.scale(np.ndim(integers)), meaning.offset)

    def preprocess(self, picture: Any, name: str | None = None) -> Array:
        """The network input of one picture (`cvm.picture`), for the input `name` where several take pictures.

        Its bytes, only cut to size, where the input takes pixels; else real numbers.
        """
        takers = [i for i in self.description.inputs if i.preprocess is not None and name in (None, i.name)]
        if len(takers) != 1:
            which = "no input" if not takers else f"several inputs ({', '.join(i.name for i in takers)})"
            raise CVMError(f"ext.json: {which}{f' named {name!r}' if name else ''} with the making from pictures")
        (taker,) = takers
        shape, recipe = taker.shape, taker.preprocess
        if shape is None or len(shape) != 4 or not isinstance(recipe, Preprocess):
            raise CVMError(f"ext.json: input {taker.name!r} of shape {shape} takes no picture")
        return (recipe.pixels if taker.meaning.pixels else recipe)(picture, *shape[2:])

    def best(self, integers: Array, top: int = 5) -> list[Prediction]:
        """The classes of the highest outputs of one sample, best first; of a map of classes, those of most places.

        Raises `CVMError` where the outputs are neither class scores nor classes.
        """
        outputs = self.description.outputs
        if outputs and outputs[0].classes is not None and len(integers) == 1:
            numbers, counts = np.unique(integers, return_counts=True)
            return self._ranked(numbers, counts / integers.size, top)
        if integers.ndim != 2 or len(integers) != 1:
            raise CVMError(f"an output of shape {integers.shape} does not hold the class scores of one picture")
        known = outputs and outputs[0].meaning.scales
        scores = (self.dequantize(integers) if known else integers)[0]
        return self._ranked(np.arange(len(scores)), scores, top)

    def _ranked(self, numbers: Array, scores: Array, top: int) -> list[Prediction]:
        labels = self.description.labels or ()
        order = np.argsort(-scores.astype(np.float64), kind="stable")[:top]
        found = [(int(numbers[i]), float(scores[i])) for i in order]
        return [Prediction(i, labels[i] if 0 <= i < len(labels) else None, score) for i, score in found]

    def _check_rows(self, values: Values) -> None:
        """`CVMError` where a number is of a row that the table which it is read from does not have."""
        for entry in self.description.inputs:
            if entry.rows is None or (self._slots and not isinstance(values, Mapping)):
                continue
            given = np.asarray(values.get(entry.name, ()) if isinstance(values, Mapping) else values)
            outside, last = given[(given < 0) | (given >= entry.rows)], entry.rows - 1
            if outside.size:
                raise CVMError(f"input {entry.name!r} holds {outside[0]:g}: it must be a number from 0 to {last}")

    def _only(self, values: Mapping[str, Array]) -> Array:
        name = self.description.inputs[0].name if self.description.inputs else "data"
        check_names([name], values)
        return values[name]

    def _input(self, index: int) -> Input:
        if not self.description.inputs:
            raise CVMError("ext.json gives no scale for input")
        return self.description.inputs[index]

    def _quantized(self, entry: Input, values: Array, precision: int) -> Array:
        array, meaning = np.asarray(values), entry.meaning
        if not meaning.scales:
            raise CVMError(f"ext.json gives no scale for input {entry.name!r}")
        if meaning.pixels and array.dtype == np.uint8:
            return saturate(_of_pixels(entry, array), precision)
        taken_as_they_are = array.dtype.kind in "iu" and meaning == INDICES
        rank = array.ndim
        whole = array if taken_as_they_are else steps(array, meaning.scale(rank), meaning.offset, meaning.zero(rank))
        if not self._has_warned:
            self._warn(entry, whole, precision)
        return saturate(whole, precision)

    def _warn(self, entry: Input, whole: Array, precision: int) -> None:
        bound, meaning = limit(precision), entry.meaning
        pixels = whole + meaning.offset
        count = int(((pixels < 0) | (pixels > 255)).sum()) if meaning.pixels else beyond(whole, precision)
        if not count:
            return
        self._has_warned = True
        first, last = (0, 255) if meaning.pixels else (meaning.offset - bound, meaning.offset + bound)
        low = float(np.max((first - meaning.zero(1)) * meaning.scale(1)))
        high = float(np.min((last - meaning.zero(1)) * meaning.scale(1)))
        warnings.warn(
            f"input {entry.name!r}: {count} of {whole.size} values lie outside [{low:.6g}, {high:.6g}], what the model "
            "can tell apart, and saturate; were they made as ext.json records (preprocess)? This is said once.",
            CVMWarning,
            stacklevel=5,
        )


def _of_pixels(entry: Input | None, array: Array) -> Array:
    """The integers of pictures' bytes; anything else as it is."""
    if entry is None or not entry.meaning.pixels or array.dtype != np.uint8:
        return array
    integers: Array = array.astype(np.int32) - entry.meaning.offset
    return integers
