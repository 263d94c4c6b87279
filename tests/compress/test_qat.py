"""[QAT]: what is trained is the compiled model, to the bit."""

from __future__ import annotations

from pathlib import Path

import cvm
import numpy as np
import pytest
from cvm import formal
from cvm.package import save_package
from mxnet import autograd
from rich.console import Console

from mrt import datasets, pipeline
from mrt.calibrate.calibrator import calibrate
from mrt.calibrate.gather import constant_layers, gather
from mrt.compress.integer_training import IntegerLearner
from mrt.compress.trainable import layers_of
from mrt.config import load
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.frontends import mxnet as mxnet_files
from mrt.quantizer.cheap import cheap_layers
from mrt.quantizer.quantize import Quantized, QuantizeSettings, quantize
from mrt.report import Progress, Report
from mrt.targets.cvm.compiler import compile_model
from mrt.train import Epoch, FitSettings, TrainingCheckpoint, cross_entropy, fit
from mrt.transform import PREPARE, PassManager

SHORT = FitSettings(epochs=2, batch=32, optimizer="adam", learning_rate=0.003, weight_decay=0.0)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.get("digits")(None, (-1, 1, 8, 8))


def quantized(project: Path, digits: Dataset, bits: dict[str, int]) -> Quantized:
    folder = project / "data"
    files = folder / "digits-symbol.json", folder / "digits-0000.params"
    graph = PassManager(PREPARE).run(mxnet_files.load(*files, {"data": (-1, 1, 8, 8)}))
    pictures = [data for data, _ in digits.batches("calibration", 100, 0, 300)]
    statistics, moments = calibrate(graph, iter(pictures)), gather(graph, iter(pictures))
    return quantize(graph, statistics, QuantizeSettings(bits=bits), moments)


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_the_forward_pass_is_the_compiled_model(project: Path, digits: Dataset, tmp_path: Path, bits: int) -> None:
    """At the start and after training, on every evaluation picture, on the runtime and by the specification."""
    few = {"digits_conv1_fwd": bits}
    start = quantized(project, digits, few)
    layers = layers_of(start, few)
    assert len(layers) == 3 and any(layer.border for layer in layers)
    learner = IntegerLearner(start, layers)
    ((pictures, _),) = digits.batches("evaluation", 500)
    for name, array in learner.network().graph.params.items():
        np.testing.assert_array_equal(array, start.graph.params[name])
    fit(learner, cross_entropy(learner), SHORT, digits)
    trained = learner.network()
    changed = sum(int((array != start.graph.params[name]).sum()) for name, array in trained.graph.params.items())
    assert changed > 1000
    assert np.abs(trained.graph.params["digits_conv1_fwd_const"]).max() <= 2 ** (bits - 1) - 1
    assert learner_precision(trained, "digits_conv0_fwd_right_shift") == bits
    model = compile_model(trained, 1)
    save_package(tmp_path, model, {})
    integers = trained.integers(pictures)
    assert isinstance(integers, np.ndarray)
    expected = learner.integers(pictures)[0].asnumpy().astype(np.int64)
    np.testing.assert_array_equal(cvm.load(tmp_path)(integers), expected)
    np.testing.assert_array_equal(formal.run(model, integers[:20])[0], expected[:20])


def test_so_it_is_of_a_residual_network(project: Path, tmp_path: Path) -> None:
    """All layers but the last, which reads 16 bits, are trained; residual sums and padding are in the forward pass."""
    folder = project / "data"
    files = folder / "cifar_resnet20_v1-symbol.json", folder / "cifar_resnet20_v1-0000.params"
    graph = PassManager(PREPARE).run(mxnet_files.load(*files, {"data": (-1, 3, 32, 32)}))
    pictures = np.random.default_rng(0).normal(size=(16, 3, 32, 32)).astype(np.float32)
    layers = [layer.name for layer in constant_layers(graph)]
    bits = dict.fromkeys(layers[1:-1], 4)
    settings = QuantizeSettings(bits=bits, extra=cheap_layers(graph))
    start = quantize(graph, calibrate(graph, iter([pictures])), settings, gather(graph, iter([pictures])))
    learner = IntegerLearner(start, layers_of(start, bits))
    with autograd.record():
        loss = cross_entropy(learner)(pictures, np.arange(16) % 10)
    loss.backward()
    for array in learner.learned.values():
        assert np.abs(array.grad.asnumpy()).max() > 0
        array -= 0.02 * array.grad.sign()
    assert len(learner.learned) == 3 * (len(layers) - 1)
    trained = learner.network()
    save_package(tmp_path, compile_model(trained, 1), {})
    expected = learner.integers(pictures)[0].asnumpy().astype(np.int64)
    np.testing.assert_array_equal(cvm.load(tmp_path)(trained.integers(pictures)), expected)
    assert not np.array_equal(cvm.load(tmp_path)(trained.integers(pictures))[0], expected[1])


def learner_precision(network: Quantized, name: str) -> int:
    return int(next(node for node in network.graph.nodes() if node.name == name).attrs["precision"])


def test_gradients_pass_straight_through_roundings(project: Path, digits: Dataset) -> None:
    """Along a learned bias of the last layer, which nothing rounds coarsely, the loss changes as its gradient says."""
    start = quantized(project, digits, {})
    learner = IntegerLearner(start, layers_of(start, {}))
    ((pictures, labels),) = digits.batches("train", 200, 0, 200)
    objective = cross_entropy(learner)
    name = next(name for name in learner.learned if name.startswith("digits_dense0") and name.endswith("bias"))

    def loss() -> float:
        return float(objective(pictures, labels).mean().asscalar())

    with autograd.record():
        value = objective(pictures, labels).mean()
    value.backward()
    gradient = learner.learned[name].grad.asnumpy()
    assert all(np.abs(array.grad.asnumpy()).max() > 0 for array in learner.learned.values())
    index, step = int(np.abs(gradient).argmax()), 0.02
    sides = []
    for sign in (1, -1):
        learner.learned[name][index] += sign * step
        sides.append(loss())
        learner.learned[name][index] -= sign * step
    assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(gradient[index], rel=0.1)


def test_resumed_it_ends_in_the_same_integers_and_keeps_the_best(
    project: Path, digits: Dataset, tmp_path: Path
) -> None:
    start = quantized(project, digits, {"digits_conv1_fwd": 2})
    checkpoint = TrainingCheckpoint(tmp_path / "kept.npz", {})
    scores = {1: 0.9, 2: 0.5}

    def trained(kept: TrainingCheckpoint | None, stop: int = 0) -> IntegerLearner:
        learner = IntegerLearner(start, layers_of(start, {"digits_conv1_fwd": 2}))
        learner.keep_if_best(0.1)

        def judged(epoch: Epoch) -> None:
            if epoch.number == stop:
                raise KeyboardInterrupt
            learner.keep_if_best(scores[epoch.number])

        fit(learner, cross_entropy(learner), SHORT, digits, kept, judged)
        return learner

    whole = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint, stop=1)
    resumed = trained(checkpoint)
    for best in (False, True):
        one, other = whole.network(best).graph.params, resumed.network(best).graph.params
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert any(not np.array_equal(a, b) for a, b in zip(one.values(), whole.network().graph.params.values()))


def run(project: Path, folder: Path, *settings: str, start: str | None = None) -> Report:
    usual = [f"DEFAULT.Output_dir={folder}", "QAT.Bits=2", "QAT.Batch=32", "QAT.Held_out=200"]
    config = load(project / "mrt" / "zoo" / "digits.ini", [*usual, *settings], start)
    return pipeline.run(config, Progress(Console(quiet=True)))


def test_a_run_trains_its_integers_and_never_ends_worse(project: Path, tmp_path: Path) -> None:
    report = run(project, tmp_path, "QAT.Epochs=2")
    assert report.qat is not None and report.qat.layers == 3 and len(report.qat.epochs) == 2
    assert report.qat.after == max(report.qat.before, *report.qat.epochs)
    assert report.bit_exact is not None and report.bit_exact.mismatches == 0
    assert "integers of 2 bits trained in 3 layers" in report.markdown()
    again = run(project, tmp_path, "QAT.Epochs=2", start="QUANTIZATION")
    assert again.accuracy["cvm"] == report.accuracy["cvm"]
    with pytest.raises(MRTError, match=r"something else: \[QAT\] Bits was 2, is 3"):
        run(project, tmp_path, "QAT.Epochs=2", "QAT.Bits=3", start="QUANTIZATION")


def test_a_training_that_makes_it_worse_gives_back_the_start(project: Path, tmp_path: Path) -> None:
    untrained = run(project, tmp_path / "0", "QAT.Epochs=0")
    assert untrained.qat is not None and untrained.qat.before == untrained.qat.after and not untrained.qat.epochs
    ruined = run(project, tmp_path / "1", "QAT.Epochs=1", "QAT.Learning_rate=3", "QAT.Schedule=constant")
    assert ruined.qat is not None and ruined.qat.epochs[0] < ruined.qat.before == ruined.qat.after
    assert ruined.accuracy["cvm"] == untrained.accuracy["cvm"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("QAT.Layer_bits=convolution: 4",), "the prepared network has no layer convolution"),
        (("QAT.Held_out=1290",), "of 1297 training pictures 7 are left to train on"),
    ],
)
def test_bad_settings(project: Path, tmp_path: Path, settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(MRTError, match=message):
        run(project, tmp_path, *settings)
