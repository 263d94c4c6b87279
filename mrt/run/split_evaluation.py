"""The evaluate stage in parts, each a task of its own: what is measured is what one evaluation in sequence measures."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrt.config import Config, Start
from mrt.errors import MRTError, Remedy
from mrt.graph import Array
from mrt.graph.batch import Feed, Samples
from mrt.report import BitExact, OfEach, Progress, Report
from mrt.run.evaluate import evaluate
from mrt.run.evaluation import Evaluate
from mrt.run.judge import Judge
from mrt.run.load import Load
from mrt.run.pictures import Pictures
from mrt.run.products import EVALUATED, FOLDER, JUDGE, QUANTIZED
from mrt.run.recording import Batch, Recording, parts
from mrt.run.stage import Made, Products, Stage, run_stages
from mrt.run.stages import compiled_stages, configured_stages, hold_instructions
from mrt.tasks import Task, Workers

logger = logging.getLogger(__name__)

_MEMORY = 1_500_000_000


@dataclass(frozen=True)
class Part:
    """What a task is to do: a part of the evaluation, with the checkpoint of the quantize stage."""

    config: Config
    offset: int
    count: int


class SplitEvaluate(Stage):
    """`Evaluate` in as many tasks as are asked for.

    Each resumes after the quantize stage's checkpoint and gives its outputs back; these are judged here, in order and
    in the same batches, by what judges one evaluation: every figure but the times is the same number.
    """

    takes = (QUANTIZED, FOLDER, JUDGE)
    gives = (EVALUATED,)

    def __init__(self, config: Config, pictures: Pictures, executor: Workers, count: int) -> None:
        """`count` is how many parts there are to be.

        Raises:
            MRTError: the quantize stage leaves no checkpoint.
        """
        if not config.quantization.dump:
            raise MRTError("an evaluation in parts needs the checkpoint of the quantize stage", Remedy.DUMP)
        self._config = config
        self._pictures = pictures
        self._executor = executor
        self._count = count

    def run(self, have: Products, progress: Progress) -> Made:
        """A report with what evaluation measures."""
        settings = self._config.evaluation
        report = Report(model=self._config.default.model_name)
        if settings is None or settings.iter_num == 0:
            return {EVALUATED: report}
        dataset, _, count = self._pictures.compared()
        resumed = self._config.default.model_copy(update={"start": Start.QUANTIZATION})
        config = self._config.model_copy(update={"default": resumed})
        planned = parts(count, settings.batch, self._count)
        told: list[Report] = []
        with progress.stage("evaluate", total=count) as step:
            batches: list[Batch] = []
            for recording, part_report in self._done(config, planned):
                batches += recording.batches
                told.append(part_report)
                step.advance(recording.count)
        names = [name for name in ("cvm", "quantized") if getattr(told[0].throughput, name) is not None]
        _judge(batches, have[JUDGE], names or ["cvm"], report)
        _add_up(told, report)
        report.dataset = dataset.name
        report.no_accuracy = report.no_accuracy or have[JUDGE].reason
        report.evaluated, report.calibrated = self._pictures.used("evaluation"), self._pictures.used("calibration")
        return {EVALUATED: report}

    def _done(self, config: Config, planned: Sequence[Recording]) -> Iterator[tuple[Recording, Report]]:
        """The parts in their order, each as soon as those before it are done."""
        names = [f"pictures {part.offset} to {part.offset + part.count - 1}" for part in planned]
        tasks = [
            Task(name, evaluate_part, Part(config, part.offset, part.count), _MEMORY)
            for name, part in zip(names, planned)
        ]
        waiting: dict[str, tuple[Recording, Report]] = {}
        position = 0
        heard: set[str] = set()
        for finished in self._executor.run(tasks, lambda name: None):
            for text in [each for each in finished.told if each not in heard]:
                heard.add(text)
                logger.warning("%s", text)
            if finished.reason is not None:
                raise MRTError(f"evaluation, {finished.name}: {finished.reason}")
            waiting[finished.name] = finished.result
            while position < len(names) and names[position] in waiting:
                yield waiting.pop(names[position])
                position += 1


def evaluate_part(part: Part) -> tuple[Recording, Report]:
    """One part, in a process of its own."""
    config, recording = part.config, Recording(part.offset, part.count)
    hold_instructions(config)
    pictures = Pictures(config)
    with tempfile.TemporaryDirectory() as scratch:
        stages: list[Stage] = [
            Load(config),
            *configured_stages(config, pictures),
            *compiled_stages(config, pictures, Path(scratch) / "model"),
            Evaluate(config, pictures, recording=recording),
        ]
        have = run_stages(stages, [EVALUATED], Progress(), config.default.start, {JUDGE: Judge(None)})
        return recording, have[EVALUATED]


def _judge(batches: Sequence[Batch], judge: Judge, names: Sequence[str], report: Report) -> None:
    """Let what judges an evaluation judge what was recorded: the data of a batch are its number, once a sample."""

    def numbered() -> Iterator[tuple[Feed, Array]]:
        for number, batch in enumerate(batches):
            yield np.full(len(batch.labels), number), batch.labels

    def recorded(feed: Feed) -> Batch:
        assert isinstance(feed, np.ndarray)
        return batches[int(feed[0])]

    evaluate(
        judge.metric,
        numbered(),
        Samples({"data": (-1,)}),
        lambda feed: recorded(feed).floats,
        dict.fromkeys(names, lambda feed: recorded(feed).integers),
        lambda feed: feed,
        lambda outputs: outputs,
        report,
        lambda count: None,
        0,
    )


def _add_up(told: Sequence[Report], report: Report) -> None:
    """What else the parts measured: exactness together, speeds for each process, latency and examples of the first."""
    exact = sum((each.bit_exact for each in told if each.bit_exact), BitExact(samples=0, mismatches=0))
    report.bit_exact = exact if exact.samples else None
    if exact.mismatches:  # unequal integers: the first executor stands for itself alone
        kept = list(report.accuracy)[:2]
        report.accuracy = {name: report.accuracy[name] for name in kept}
    speeds: dict[str, float] = {}
    for name in ("float", "quantized", "cvm"):
        pace = [(each.samples, each.throughput.model_dump(by_alias=True)[name]) for each in told]
        if all(speed for _, speed in pace):
            speeds[name] = sum(count for count, _ in pace) / sum(count / speed for count, speed in pace)
    report.throughput = OfEach.model_validate(speeds)
    report.latency_ms, report.examples = told[0].latency_ms, told[0].examples
