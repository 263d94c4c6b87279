"""What compressing is measured by: what the network costs and achieves as loaded, and after each step."""

from __future__ import annotations

from mrt.compress.measure import cost
from mrt.executors.mxnet import Executor
from mrt.graph import Graph
from mrt.report import Progress
from mrt.report.compression import CompressionStep
from mrt.run.products import COMPRESSION, NETWORK
from mrt.run.stage import Made, Products, Stage
from mrt.run.training_data import Training
from mrt.train import judge


class Measurer:
    """Says what a network costs and achieves."""

    def __init__(self, training: Training) -> None:
        """`training` says on what accuracy is measured."""
        self._training = training

    def __call__(self, name: str, network: Graph, notes: str | None = None) -> CompressionStep:
        """What the report says of the network after a step."""
        found, judged = cost(network), self._training.judged()
        accuracy: dict[str, float] = {}
        if judged is not None:
            dataset, start, count, batch = judged
            accuracy = judge(Executor(network), dataset, batch, "evaluation", start, count)
        return CompressionStep(
            name=name,
            accuracy=accuracy,
            macs=found.macs,
            parameters=found.parameters,
            size_bytes=found.size,
            notes=notes,
        )


class Begin(Stage):
    """The first row of what compression is compared with."""

    takes = (NETWORK,)
    gives = (COMPRESSION,)

    def __init__(self, measure: Measurer, skipped: bool) -> None:
        """`skipped` where nothing is compressed."""
        self._measure, self._skipped = measure, skipped

    def run(self, have: Products, progress: Progress) -> Made:
        """The network as loaded."""
        if self._skipped:
            return {COMPRESSION: []}
        with progress.stage("measure"):
            return {COMPRESSION: [self._measure("as loaded", have[NETWORK])]}
