"""Teachers of text: two inputs, and states of the first token (patient)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from mrt import datasets
from mrt.compress.distill import Distilled, DistillSettings
from mrt.config import load
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.frontends.reading import network_of_block
from mrt.graph import Graph
from mrt.nets.bert import Bert, BertShape
from mrt.nets.bilstm import BiLSTM
from mrt.run.teach import settings_of
from mrt.train import FitSettings, fit

WORDS, LENGTH = 40, 8
INPUTS = {"data0": (-1, LENGTH), "data1": (-1, LENGTH)}


def graph(block: Any, seed: int) -> Graph:
    mx.random.seed(seed)
    block.initialize(mx.init.Normal(0.2), force_reinit=True)
    return network_of_block(block, INPUTS)


def bert(layers: int, seed: int, width: int = 24) -> Graph:
    return graph(Bert(BertShape(layers, width, 3, 32, vocabulary=WORDS, positions=LENGTH, dropout=0.0)), seed)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: Any) -> Dataset:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for suffix, count in (("", 256), ("_val", 64)):
        mask = np.arange(LENGTH) < random.integers(2, LENGTH + 1, count)[:, None]
        arrays[f"data0{suffix}"] = np.where(mask, random.integers(1, WORDS, mask.shape), 0).astype(np.int32)
        arrays[f"data1{suffix}"] = mask.astype(np.int32)
        arrays[f"y{suffix}"] = arrays[f"data0{suffix}"][:, 1] % 2
    path: Path = tmp_path_factory.mktemp("sentences") / "data.npz"
    np.savez(path, **arrays)
    return datasets.load("npz", path, INPUTS)


STATES = {"bert_layer1_norm_layernorm0": "bert_layer2_norm_layernorm0"}
CASES = {
    "soft_label": (lambda: bert(1, 2), {}),
    "logits": (lambda: graph(BiLSTM(12, 8, 16, WORDS), 2), {}),
    "patient": (lambda: bert(2, 2), {"pairs": STATES}),
}


@pytest.mark.parametrize("loss", CASES)
def test_a_student_of_text_learns_of_its_teacher_alone(sentences: Dataset, loss: str) -> None:
    make, pairs = CASES[loss]
    teacher, student = bert(3, 1), make()
    settings = DistillSettings({"hard": 0.0, loss: 1.0}, **pairs)  # type: ignore[arg-type]
    ((feed, labels),) = sentences.batches("train", 256)

    def loss_of(network: Graph) -> float:
        return float(Distilled(network, teacher, settings).objective(feed, labels).mean().asscalar())

    before = loss_of(student)
    distilled = Distilled(student, teacher, settings)
    fit(distilled.learner, distilled.objective, FitSettings(12, 32, "adam", 0.005, weight_decay=0.0), sentences)
    least = 0.0
    if loss == "soft_label":  # the teacher's own entropy
        least = float(Distilled(teacher, teacher, settings).objective(feed, labels).mean().asscalar())
    assert loss_of(distilled.learner.graph) - least < 0.7 * (before - least)


def test_states_of_the_first_token_are_compared_at_length_1(sentences: Dataset) -> None:
    """Against the definition of Sun et al., equation 7, in NumPy: other tokens and lengths do not matter."""
    from mrt.executors.mxnet import Executor
    from mrt.graph import Value

    student, teacher = bert(2, 3), bert(3, 4)
    ((feed, labels),) = sentences.batches("evaluation", 64)
    ((mine, theirs),) = STATES.items()
    found = []
    for network, name in ((student, mine), (teacher, theirs)):
        (node,) = (node for node in network.nodes() if node.name == name)
        first = Executor(network, [Value(node)])(feed)[0][:, 0]
        found.append(first / np.linalg.norm(first, axis=1, keepdims=True))
    settings = DistillSettings({"hard": 0.0, "patient": 1.0}, pairs=STATES)
    losses = Distilled(student, teacher, settings).objective(feed, labels).asnumpy()
    np.testing.assert_allclose(losses, np.square(found[0] - found[1]).sum(axis=1), rtol=1e-4)


def test_only_the_named_parameters_are_learned() -> None:
    student = bert(1, 2)
    names = ["bert_embedding_positions", "bert_classes_weight"]
    distilled = Distilled(student, bert(2, 1), DistillSettings({"soft_label": 1.0}), names)
    assert sorted(distilled.learner.learned) == sorted(names)


def test_a_teacher_of_other_classes_is_refused() -> None:
    other = graph(Bert(BertShape(1, 24, 3, 32, vocabulary=WORDS, positions=LENGTH, classes=3)), 0)
    with pytest.raises(MRTError, match=r"teacher: its outputs are \(3,\), the network's are \(2,\)"):
        Distilled(bert(1, 0), other, DistillSettings({"soft_label": 1.0}))


@pytest.mark.parametrize(
    ("method", "losses"),
    [
        ("kd", {"hard": 0.2, "soft_label": 0.8}),
        ("distilled_bilstm", {"hard": 0.3, "logits": 0.7}),
        ("bert_pkd", {"hard": 0.5, "soft_label": 0.5, "patient": 10.0}),
    ],
)
def test_a_method_is_its_losses(project: Path, method: str, losses: dict[str, float]) -> None:
    given = ["DISTILLATION.Teacher=data/minilm", f"DISTILLATION.Method={method}", "DISTILLATION.Pairs=a: b"]
    config = load(project / "mrt/zoo/text/bilstm.ini", given)
    assert config.distillation is not None and settings_of(config.distillation).losses == losses
    own = load(project / "mrt/zoo/text/bilstm.ini", [*given, "DISTILLATION.Losses=hard: 1, soft_label: 3"])
    assert own.distillation is not None and own.distillation.losses == {"hard": 1.0, "soft_label": 3.0}


def test_patient_needs_pairs(project: Path) -> None:
    given = ["DISTILLATION.Teacher=data/minilm", "DISTILLATION.Method=bert_pkd"]
    with pytest.raises(MRTError, match=r"patient needs pairs"):
        load(project / "mrt/zoo/text/bilstm.ini", given)
