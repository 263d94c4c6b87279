"""[PRUNING], [FINETUNE] and [DISTILLATION] in a run, on scikit-learn's digits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from rich.console import Console

from mrt import datasets, pipeline
from mrt.cli import main
from mrt.compress.distill import Distilled, DistillSettings, flow
from mrt.config import Config, load
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph
from mrt.report import Progress, Report
from mrt.run.seeded import seed_weights
from mrt.train import FitSettings, fit, judge

PRUNING = ("PRUNING.Macs=0.5", "PRUNING.Multiple=1")
FINETUNE = ("FINETUNE.Epochs=3", "FINETUNE.Batch=32", "FINETUNE.Learning_rate=0.02")


def configured(project: Path, folder: Path, *settings: str, start: str | None = None) -> Config:
    given = [f"DEFAULT.Output_dir={folder}", "COMPILATION.Dump_dir=", *settings]
    return load(project / "mrt" / "zoo" / "digits.ini", given, start)


def run(config: Config) -> Report:
    return pipeline.run(config, Progress(Console(quiet=True)))


@pytest.mark.parametrize("method", ["bn", "conv_all", "conv_avg", "conv_max", "conv_threshold", "taylor", "fpgm"])
def test_every_method_prunes_and_what_is_compiled_is_the_smaller_network(
    project: Path, tmp_path: Path, method: str
) -> None:
    report = run(configured(project, tmp_path, *PRUNING, *FINETUNE, f"PRUNING.Method={method}"))
    loaded, pruned, tuned = report.compression
    assert [step.name for step in report.compression] == ["as loaded", "pruning", "finetune"]
    assert 0.3 * loaded.macs < pruned.macs <= 0.5 * loaded.macs and tuned.macs == pruned.macs
    assert tuned.accuracy["top1"] > pruned.accuracy["top1"] and tuned.accuracy["top1"] > 0.95
    assert report.accuracy["float"] == tuned.accuracy
    assert report.accuracy["cvm"]["top1"] > 0.95 and report.size_bytes.float_ == tuned.size_bytes
    assert report.bit_exact is not None and report.bit_exact.mismatches == 0
    assert "digits_dense0_fwd is not pruned: they are the output" in report.markdown()


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        (("PRUNING.Strategy=sensitivity",), 0.5),
        (("PRUNING.Strategy=global",), 0.5),
        (("PRUNING.Schedule=stepwise", "PRUNING.Steps=2"), 0.5),
        (("PRUNING.Schedule=iterative",), 0.5),
        (("PRUNING.Macs=", "PRUNING.Size=0.6"), None),
        (("PRUNING.Macs=", "PRUNING.Ratio=0.25"), None),
        (("PRUNING.Method=bn", "PRUNING.Sparsity=0.001"), 0.5),
    ],
)
def test_every_strategy_and_schedule_meets_its_target(
    project: Path, tmp_path: Path, settings: tuple[str, ...], left: float | None
) -> None:
    config = configured(project, tmp_path, *PRUNING, *FINETUNE, *settings)
    report = run(config)
    loaded, pruned, tuned = report.compression
    if left:
        assert 0.3 * loaded.macs < pruned.macs <= left * loaded.macs
    elif config.pruning and config.pruning.size:
        assert 0.4 * loaded.size_bytes < pruned.size_bytes <= 0.6 * loaded.size_bytes
    else:
        network = pruned_network(tmp_path)
        assert network.params["digits_conv0_weight"].shape[0] == 12  # of 16
    assert tuned.accuracy["top1"] > 0.9


def pruned_network(folder: Path) -> Graph:
    return mxnet_files.load(folder / "digits.pruning.json", folder / "digits.pruning.params", {"data": (-1, 1, 8, 8)})


def test_a_run_starts_after_either_checkpoint_and_ends_in_the_same_network(project: Path, tmp_path: Path) -> None:
    settings = (*PRUNING, *FINETUNE)
    first = run(configured(project, tmp_path, *settings))
    for start in ("PRUNING", "FINETUNE", "CALIBRATION"):
        again = run(configured(project, tmp_path, *settings, start=start))
        assert again.compression == first.compression and again.accuracy == first.accuracy
    assert not list(tmp_path.glob("*.npz"))
    with pytest.raises(MRTError, match=r"pruning.*something else: \[PRUNING\] Macs was 0.5, is 0.7"):
        run(configured(project, tmp_path, *settings, "PRUNING.Macs=0.7", start="PRUNING"))
    with pytest.raises(MRTError, match=r"finetune.*something else: \[FINETUNE\] Learning_rate"):
        run(configured(project, tmp_path, *settings, "FINETUNE.Learning_rate=0.01", start="PREPARE"))


def test_sections_run_in_the_order_in_which_they_stand(project: Path, tmp_path: Path) -> None:
    report = run(configured(project, tmp_path, *FINETUNE, *PRUNING))
    assert [step.name for step in report.compression] == ["as loaded", "finetune", "pruning"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("PRUNING.Ratio=0.99",), "nothing would be left of the 16 channels of layer digits_conv0_fwd; lower it"),
        (
            ("PRUNING.Macs=0.01",),
            r"\[PRUNING\] Macs: more than 0.01 is left even when all that can be pruned is pruned",
        ),
        (("PRUNING.Ratio=0.5", "PRUNING.Macs=0.5"), r"\[PRUNING\] needs one of ratio, macs and size"),
        (("PRUNING.Method=bn",), r"\[PRUNING\] needs one of ratio, macs and size"),
        (("PRUNING.Ratio=0.5", "PRUNING.Keep=convolution"), "Keep: the network has no layer convolution"),
        (("PRUNING.Ratio=0.5", "PRUNING.Keep=digits_conv*"), "digits_dense0_fwd: they are the output"),
        (("PRUNING.Ratio=0.5", "PRUNING.Sparsity=1"), r"\[PRUNING\] sparsity is unused with the method conv_avg"),
        (("DEFAULT.Start=PRUNING",), r"Start = PRUNING needs a section \[PRUNING\]"),
        (("DISTILLATION.Teacher=net",), r"needs \[FINETUNE\] or \[TRAIN\]"),
        (("FINETUNE.Epochs=1", "DISTILLATION.Teacher=data/mnist"), "Teacher|input"),
        (("FINETUNE.Epochs=1", "FINETUNE.Learning_rate=1e30"), r"\[FINETUNE\] Learning_rate: at 1e\+30, the loss is"),
    ],
)
def test_bad_settings_end_in_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: tuple[str, ...], message: str
) -> None:
    text = (project / "mrt" / "zoo" / "digits.ini").read_text().partition("[TRAIN]")[0]
    path = tmp_path / "digits.ini"
    path.write_text(text)
    given = [part for setting in (f"DEFAULT.Output_dir={tmp_path}", *settings) for part in ("--set", setting)]
    assert main([str(path), *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mrt: ")
    assert re.search(message, error), error


@pytest.fixture(scope="module")
def teacher(project: Path) -> Graph:
    folder = project / "data"
    return mxnet_files.load(folder / "digits-symbol.json", folder / "digits-0000.params", {"data": (-1, 1, 8, 8)})


PAIRS: dict[str, Any] = {
    "soft_label": {},
    "logits": {},
    "l2": {"pairs": {"digits_conv1_fwd": "digits_conv1_fwd"}},
    "fsp": {"flows": {"digits_conv0_fwd": "digits_conv0_fwd", "digits_conv1_fwd": "digits_conv1_fwd"}},
}


@pytest.mark.parametrize("loss", PAIRS)
def test_a_student_learns_of_its_teacher_alone(teacher: Graph, loss: str) -> None:
    """Without labels, every loss brings the student's values to the teacher's; of itself, a network learns nothing."""
    digits = datasets.get("digits")(None, (-1, 1, 8, 8))
    settings = DistillSettings({"hard": 0.0, loss: 1.0}, **PAIRS[loss])
    ((pictures, labels),) = digits.batches("train", 64, 0, 64)

    def loss_of(student: Graph) -> float:
        return float(Distilled(student, teacher, settings).objective(pictures, labels).mean().asscalar())

    if loss != "soft_label":  # whose least is the teacher's own entropy
        assert loss_of(teacher) == 0
    distilled = Distilled(seed_weights(teacher), teacher, settings)
    before = loss_of(distilled.learner.graph)
    optimize = FitSettings(epochs=3, batch=32, optimizer="adam", learning_rate=0.003)
    fit(distilled.learner, distilled.objective, optimize, digits)
    assert loss_of(teacher) <= loss_of(distilled.learner.graph) < 0.6 * before
    if loss == "soft_label":
        assert judge(Executor(distilled.learner.graph), digits, 500)["top1"] > 0.9


def test_mrt_train_takes_a_teacher(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the teacher alone, without labels, a network of its own learns the classes."""
    text = (project / "mrt" / "zoo" / "digits.ini").read_text().replace("Epochs=40", "Epochs=3")
    path = tmp_path / "student.ini"
    path.write_text(f"{text}\n[DISTILLATION]\nTeacher={project}/data/digits\nLosses=hard: 0, soft_label: 1\n")
    given = ("--set", f"DEFAULT.Model_dir={tmp_path}", "--set", "DEFAULT.Model_name=student")
    assert main(["train", str(path), *given]) == 0
    assert float(re.search(r"top1=([\d.]+)", capsys.readouterr().out)[1]) > 0.9  # type: ignore[index]
    files = tmp_path / "student-symbol.json", tmp_path / "student-0000.params"
    student = mxnet_files.load(*files, {"data": (-1, 1, 8, 8)})
    assert judge(Executor(student), datasets.get("digits")(None, (-1, 1, 8, 8)), 500)["top1"] > 0.9
    assert not list(tmp_path.glob("*.npz"))


def test_the_flow_between_two_maps() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(2, 5, 2, 2))
    pooled = one.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5))
    expected = np.einsum("nahw,nbhw->nab", pooled, two) / 4
    np.testing.assert_allclose(flow(mx.nd.array(one), mx.nd.array(two)).asnumpy(), expected, rtol=1e-5)


def test_pairs_that_do_not_fit_are_refused(teacher: Graph) -> None:
    for pairs, message in (
        ({"nothing": "digits_conv1_fwd"}, "the student has no node nothing"),
        ({"digits_conv0_fwd": "digits_conv1_fwd"}, "digits_conv0_fwd is .* they must be of one shape"),
    ):
        with pytest.raises(MRTError, match=message):
            Distilled(teacher, teacher, DistillSettings({"l2": 1.0}, pairs=pairs))
