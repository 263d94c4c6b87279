"""The data that a network is calibrated on, as the stages read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from mrt.graph import Array
from mrt.graph.batch import Feed
from mrt.integer.pixels import Pixels


class SampleSource(Protocol):
    """Calibration data in a fixed order; `mrt.run.pictures` has a configuration's, `mrt.run.given` a caller's."""

    @property
    def calibrated(self) -> int:
        """How many to calibrate on."""

    @property
    def pixels(self) -> Mapping[str, Pixels]:
        """The inputs that are made of the bytes of pictures, and how."""

    def batches(self, count: int) -> Iterator[Feed]:
        """The first `count` samples, in batches."""

    def labelled(self, count: int) -> Iterator[tuple[Feed, Array]]:
        """Likewise, with labels."""

    def first(self, count: int) -> Feed:
        """The first `count` samples, together; fewer where there are no more."""
