"""The calibrate stage, and what else is measured on calibration data: the layers' input moments."""

from __future__ import annotations

from collections.abc import Iterator

from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import gather
from mrt.config.sections import CalibrationSwitches, QuantizationSwitches
from mrt.executors.device import context
from mrt.graph import Graph
from mrt.graph.batch import Feed
from mrt.integer.rounding import NEAREST
from mrt.report import Progress
from mrt.run.prepare import SAMPLE_PICTURES
from mrt.run.products import MOMENTS, PREPARED, STATISTICS
from mrt.run.sample_source import SampleSource
from mrt.run.stage import Checkpoint, Made, Products, Stage


class Calibrate(Stage):
    """Statistics of every tensor on calibration data."""

    takes = (PREPARED,)
    gives = (STATISTICS,)

    def __init__(
        self, switches: CalibrationSwitches, samples: SampleSource, checkpoint: Checkpoint | None = None
    ) -> None:
        """`samples` are the calibration data."""
        self._switches = switches
        self._samples = samples
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The statistics, by tensor."""
        count = self._samples.calibrated
        with progress.stage("calibrate", total=count) as step:

            def batches() -> Iterator[Feed]:
                for data, labels in self._samples.labelled(count):
                    yield data
                    step.advance(len(labels))

            return {STATISTICS: calibrate(have[PREPARED], batches(), context(self._switches))}


class GatherMoments(Stage):
    """What rounding weights by their effect, and correcting biases, needs to know of the layers' inputs."""

    takes = (PREPARED,)
    gives = (MOMENTS,)

    def __init__(self, calibration: CalibrationSwitches, switches: QuantizationSwitches, samples: SampleSource) -> None:
        """Of the switches, rounding and bias_correction say whether moments are needed at all."""
        self._context = calibration
        self._needed = switches.bias_correction or switches.rounding != NEAREST
        self._samples = samples

    def run(self, have: Products, progress: Progress) -> Made:
        """The moments, by layer; none where none are needed."""
        if not self._needed:
            return {MOMENTS: {}}
        graph: Graph = have[PREPARED]
        count = min(SAMPLE_PICTURES, self._samples.calibrated)
        with progress.stage("moments", total=count) as step:
            return {MOMENTS: gather(graph, self._samples.batches(count), context(self._context), step.advance)}
