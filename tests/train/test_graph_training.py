"""Any float graph is trained: loaded, rewritten or with other weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrt import datasets
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph
from mrt.run.seeded import seed_weights
from mrt.train import Epoch, FitSettings, GraphLearner, TrainingCheckpoint, cross_entropy, fit, judge
from mrt.transform import PREPARE, PassManager

SHORT = FitSettings(epochs=2, batch=32, optimizer="adam", learning_rate=0.003)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.get("digits")(None, (-1, 1, 8, 8))


@pytest.fixture(scope="module")
def untrained(project: Path) -> Graph:
    folder = project / "data"
    files = folder / "digits-symbol.json", folder / "digits-0000.params"
    return seed_weights(mxnet_files.load(*files, {"data": (-1, 1, 8, 8)}))


def accuracy(graph: Graph, digits: Dataset) -> float:
    return judge(Executor(graph), digits, 500)["top1"]


@pytest.mark.parametrize("prepared", [False, True])
def test_a_graph_learns_whatever_was_rewritten(untrained: Graph, digits: Dataset, prepared: bool) -> None:
    graph = PassManager(PREPARE).run(untrained) if prepared else untrained
    learner = GraphLearner(graph)
    assert accuracy(graph, digits) < 0.4
    fit(learner, cross_entropy(learner), SHORT, digits)
    assert accuracy(learner.graph, digits) > 0.85
    assert learner.graph.outputs == graph.outputs and set(learner.graph.params) == set(graph.params)


def test_stopped_and_resumed_it_has_the_same_weights(untrained: Graph, digits: Dataset, tmp_path: Path) -> None:
    checkpoint = TrainingCheckpoint(tmp_path / "kept.npz", {"seed": "0"})

    def stop(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    whole = GraphLearner(untrained)
    loss = fit(whole, cross_entropy(whole), SHORT, digits)
    stopped = GraphLearner(untrained)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, cross_entropy(stopped), SHORT, digits, checkpoint, stop)
    resumed = GraphLearner(untrained)
    assert fit(resumed, cross_entropy(resumed), SHORT, digits, checkpoint) == loss
    for name, array in whole.graph.params.items():
        np.testing.assert_array_equal(array, resumed.graph.params[name])
    with pytest.raises(MRTError, match="seed was 0, is 1"):
        fit(resumed, cross_entropy(resumed), SHORT, digits, TrainingCheckpoint(checkpoint.path, {"seed": "1"}))
