"""Where each stage leaves its result, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mrt.atomic import atomic_write
from mrt.calibrate import statistics
from mrt.calibrate.statistics import Statistics
from mrt.config import Stage
from mrt.errors import MRTError
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph, Shape
from mrt.quantizer.quantize import Quantized, TensorInfo

_REUSED = {
    Stage.PREPARE: ("prepare.json", "prepare.params", "prepare.inputs.json"),
    Stage.CALIBRATION: ("calibration.json",),
}


class Checkpoints:
    """The checkpoints of one model in one folder, `<folder>/<name>.<stage>.*`.

    Every graph is a pair of MXNet files (`.json`, `.params`) that any MXNet tool opens.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def path(self, suffix: str) -> Path:
        """The path of one file of the model."""
        return self._folder / f"{self._name}.{suffix}"

    def reusable(self, sources: Sequence[Path]) -> Stage:
        """The last stage up to CALIBRATION whose checkpoint, and those before it, are newer than all of `sources`."""
        newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
        found = Stage.DEFAULT
        for stage, suffixes in _REUSED.items():
            paths = [self.path(suffix) for suffix in suffixes]
            if not all(path.is_file() and path.stat().st_mtime >= newest for path in paths):
                break
            newest, found = min(path.stat().st_mtime for path in paths), stage
        return found

    def save_graph(self, stage: str, graph: Graph) -> None:
        """Write a graph, and the shapes of its inputs."""
        mxnet_files.save(graph, self.path(f"{stage}.json"), self.path(f"{stage}.params"))
        atomic_write(self.path(f"{stage}.inputs.json"), json.dumps({k: list(v) for k, v in graph.inputs.items()}))

    def load_graph(self, stage: str) -> Graph:
        """Read a graph.

        Raises:
            MRTError: it is missing or damaged.
        """
        return mxnet_files.load(
            self._existing(f"{stage}.json", stage), self._existing(f"{stage}.params", stage), self._inputs(stage)
        )

    def save_statistics(self, gathered: Mapping[str, Statistics]) -> None:
        """Write the calibration statistics."""
        statistics.save(self.path("calibration.json"), gathered)

    def load_statistics(self) -> dict[str, Statistics]:
        """Read the calibration statistics."""
        return statistics.load(self._existing("calibration.json", "calibration"))

    def save_quantized(self, quantized: Quantized) -> None:
        """Write the integer graph and what its integers mean."""
        self.save_graph("quantize", quantized.graph)
        atomic_write(self.path("quantize.scales.json"), quantized.describe())

    def load_quantized(self) -> Quantized:
        """Read the integer graph."""
        graph = self.load_graph("quantize")
        path = self._existing("quantize.scales.json", "quantize")
        try:
            raw = json.loads(path.read_text())
            outputs = tuple(TensorInfo.from_json(item) for item in raw["outputs"])
            return Quantized(graph, TensorInfo.from_json(raw["input"]), outputs)
        except (ValueError, KeyError, TypeError, OSError):
            raise MRTError(f"{path}: damaged checkpoint; run the QUANTIZATION stage again") from None

    def _inputs(self, stage: str) -> dict[str, Shape]:
        path = self._existing(f"{stage}.inputs.json", stage)
        try:
            return {str(name): tuple(int(d) for d in shape) for name, shape in json.loads(path.read_text()).items()}
        except (ValueError, TypeError, AttributeError, OSError):
            raise MRTError(f"{path}: damaged checkpoint; run the stage that wrote it again") from None

    def _existing(self, suffix: str, stage: str) -> Path:
        path = self.path(suffix)
        if not path.is_file():
            raise MRTError(
                f"{path}: no such checkpoint; run once with an earlier Start and Dump=True in the section of the "
                f"{stage} stage"
            )
        return path
