"""Where each stage leaves its result, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrt.atomic import atomic_write
from mrt.config import Start
from mrt.errors import MRTError, Remedy
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph, Shape
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.quantize import Quantized
from mrt.report.compression import CompressionStep
from mrt.run.products import COMPRESSION, MERGED, NETWORK, PRECISION, PREPARED, QUANTIZED, SHARED, STATISTICS, TRAINED
from mrt.run.stage import Made
from mrt.statistics import tensor as statistics
from mrt.statistics.tensor import Statistics

_FILES = {
    Start.PRUNING: "pruning",
    Start.FINETUNE: "finetune",
    Start.PREPARE: "prepare",
    Start.CALIBRATION: "calibration",
    Start.QUANTIZATION: "quantize",
    Start.MERGE_MODEL: "merge",
}


@dataclass(frozen=True)
class Kept:
    """One stage's checkpoint (`mrt.run.stage.Checkpoint`)."""

    checkpoints: Checkpoints
    after: Start
    written: bool
    save_as: Callable[[Made], None]
    load_as: Callable[[], Made]
    order: tuple[Start, ...] = ()
    """Of stages that run in the order of their sections, this one and the later ones."""

    def precedes(self, start: Start) -> bool:
        """See `mrt.run.stage.Checkpoint`."""
        return start in self.order or start >= Start.PREPARE if self.order else self.after <= start

    def save(self, made: Made) -> None:
        """Write what the stage gave, where its section's Dump asks for it."""
        if self.written:
            self.save_as(made)
            self.checkpoints.save_origin(self.after)

    def load(self) -> Made:
        """Read it back.

        Raises:
            MRTError: it is missing, damaged, or made from something else.
        """
        made = self.load_as()
        problem = self.checkpoints.misfit(self.after)
        if problem:
            raise MRTError(
                f"{self.checkpoints.path(_FILES[self.after])}.*: this checkpoint was made from something else: "
                f"{problem}; start before {self.after.name}"
            )
        return made


class Checkpoints:
    """The checkpoints of one model in one folder, `<folder>/<name>.<stage>.*`.

    Every graph is a pair of MXNet files (`.json`, `.params`) that any MXNet tool opens.

    Args:
        folder: where they are.
        name: the model's.
        origin: says what a stage's checkpoint is made from (`mrt.run.origin`).
    """

    def __init__(
        self, folder: Path, name: str, origin: Callable[[Start], Mapping[str, str]] = lambda start: {}
    ) -> None:
        self._folder = folder
        self._name = name
        self._origin = origin

    def path(self, suffix: str) -> Path:
        """The path of one file of the model."""
        return self._folder / f"{self._name}.{suffix}"

    def compressed(self, order: tuple[Start, ...], written: bool, saved: Callable[[], None]) -> Kept:
        """Where the first of `order`, the compressing stages from it on, leaves the float network.

        `saved` is called when it is written.
        """
        start = order[0]

        def save(made: Made) -> None:
            self.save_graph(_FILES[start], made[NETWORK])
            steps = [step.model_dump() for step in made[COMPRESSION]]
            atomic_write(self.path(f"{_FILES[start]}.steps.json"), json.dumps(steps, indent=1))
            saved()

        def load() -> Made:
            path = self._existing(f"{_FILES[start]}.steps.json", _FILES[start])
            try:
                steps = [CompressionStep(**step) for step in json.loads(path.read_text())]
            except (ValueError, TypeError, OSError):
                raise MRTError(f"{path}: damaged checkpoint; run the {start.name} stage again") from None
            return {NETWORK: self.load_graph(_FILES[start]), COMPRESSION: steps}

        return Kept(self, start, written, save, load, order)

    def prepared(self, written: bool = True) -> Kept:
        """Where the prepare stage leaves the prepared network."""
        return Kept(
            self,
            Start.PREPARE,
            written,
            lambda made: self.save_graph("prepare", made[PREPARED]),
            lambda: {PREPARED: self.load_graph("prepare")},
        )

    def calibrated(self, written: bool = True) -> Kept:
        """Where the calibrate stage leaves the statistics."""
        return Kept(
            self,
            Start.CALIBRATION,
            written,
            lambda made: self.save_statistics(made[STATISTICS]),
            lambda: {STATISTICS: self.load_statistics()},
        )

    def quantized(self, written: bool = True) -> Kept:
        """Where the quantize stage leaves the integer network."""
        return Kept(
            self,
            Start.QUANTIZATION,
            written,
            lambda made: self.save_quantized(made[QUANTIZED]),
            lambda: {QUANTIZED: self.load_quantized(), PRECISION: None, TRAINED: None, SHARED: None},
        )

    def merged(self, written: bool = True) -> Kept:
        """Where the merge stage leaves base and top as one graph."""
        return Kept(
            self,
            Start.MERGE_MODEL,
            written,
            lambda made: self.save_graph("merge", made[MERGED]),
            lambda: {MERGED: self.load_graph("merge")},
        )

    def save_origin(self, start: Start) -> None:
        """Write what a stage's checkpoint is made from."""
        atomic_write(self._origin_path(start), json.dumps(self._origin(start), indent=1))

    def misfit(self, start: Start) -> str | None:
        """What is another now than when a stage's checkpoint was made, in words; None where it fits."""
        path = self._origin_path(start)
        try:
            then = {str(key): str(value) for key, value in json.loads(path.read_text("utf-8")).items()}
        except FileNotFoundError:
            return f"{path} is missing, which says what it is made from"
        except (ValueError, AttributeError, OSError):
            return f"{path} is damaged"
        now = self._origin(start)
        changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        if not changed:
            return None
        return f"{changed[0]} was {then.get(changed[0])}, is {now.get(changed[0])}"

    def fitting(self, stages: Sequence[Start]) -> Start:
        """The last of these stages of which, and of all before it, there is a checkpoint that fits."""
        found = Start.DEFAULT
        for start in stages:
            if self.misfit(start) is not None:
                break
            found = start
        return found

    def _origin_path(self, start: Start) -> Path:
        return self.path(f"{_FILES[start]}.origin.json")

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
            return Quantized(graph, tuple(TensorInfo.from_json(item) for item in raw["inputs"]), outputs)
        except (ValueError, KeyError, TypeError, OSError):
            raise MRTError(f"{path}: damaged checkpoint; run the QUANTIZATION stage again") from None

    def tensor_scales(self) -> dict[str, tuple[str, int]]:
        """Scale and offset of the integer graph's tensors by node; none of an older checkpoint, which does not say."""
        path = self._existing("quantize.scales.json", "quantize")
        try:
            tensors = json.loads(path.read_text()).get("tensors", {})
            return {str(name): (str(scale), int(offset)) for name, (scale, offset) in tensors.items()}
        except (ValueError, TypeError, AttributeError, OSError):
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
            raise MRTError(f"{path}: no such checkpoint of the {stage} stage", Remedy.CHECKPOINT)
        return path
