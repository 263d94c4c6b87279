"""[SHARING]: few weights, of few values; params.huf gives the same integers."""

from __future__ import annotations

import shutil
from pathlib import Path

import cvm
import numpy as np
import pytest
from cvm.package import load_package
from rich.console import Console

from mrt import pipeline
from mrt.compress.sharing import shared, thinned
from mrt.compress.trainable import Constants
from mrt.config import load
from mrt.errors import MRTError
from mrt.graph import Node
from mrt.report import Progress, Report


def run(project: Path, folder: Path, *settings: str, start: str | None = None) -> Report:
    given = [f"DEFAULT.Output_dir={folder}", "SHARING.Batch=32", "SHARING.Held_out=200", *settings]
    return pipeline.run(load(project / "mrt" / "zoo" / "digits.ini", given, start), Progress(Console(quiet=True)))


def test_a_run_leaves_few_weights_of_few_values(project: Path, tmp_path: Path) -> None:
    settings = (f"COMPILATION.Dump_dir={tmp_path}", "SHARING.Bits=3", "SHARING.Density=0.3", "SHARING.Epochs=2")
    report = run(project, tmp_path, *settings)
    found = report.sharing
    assert found is not None and found.layers == 3 and report.bit_exact is not None
    assert report.bit_exact.mismatches == 0 and report.accuracy["cvm"] == report.accuracy["quantized"]
    assert found.density <= 0.31 and report.accuracy["cvm"]["top1"] > 0.9
    folder = tmp_path / "digits_cvm"
    model = load_package(folder).model
    weights = [model.params[model.nodes[n.inputs[1][0]].name] for n in model.nodes if n.op in ("conv2d", "dense")]
    assert len(weights) == 3
    for weight in weights:
        assert len(np.unique(weight[weight != 0])) <= 8
    assert sum(int((w != 0).sum()) for w in weights) == round(found.density * sum(w.size for w in weights))

    coded = shutil.copytree(folder, tmp_path / "coded")
    (coded / "params").unlink()
    assert found.coded_bytes == (coded / "params.huf").stat().st_size < (folder / "params").stat().st_size / 2
    pictures = np.random.default_rng(0).integers(-127, 128, (50, *model.input_shape[1:])).astype(np.int8)
    np.testing.assert_array_equal(cvm.load(coded)(pictures), cvm.load(folder)(pictures))
    assert "8 values a layer" in report.markdown() and "params.huf" in report.markdown()
    again = run(project, tmp_path, *settings, start="QUANTIZATION")
    assert again.accuracy["cvm"] == report.accuracy["cvm"]
    with pytest.raises(MRTError, match=r"something else: \[SHARING\] Bits was 3, is 2"):
        run(project, tmp_path, *settings, "SHARING.Bits=2", start="QUANTIZATION")


def test_after_training_for_few_bits(project: Path, tmp_path: Path) -> None:
    few = ("QAT.Bits=4", "QAT.Epochs=1", "QAT.Batch=32", "QAT.Held_out=200", "SHARING.Bits=2", "SHARING.Epochs=1")
    report = run(project, tmp_path, *few)
    assert report.qat is not None and report.sharing is not None and report.sharing.before == report.qat.after
    assert report.bit_exact is not None and report.bit_exact.mismatches == 0
    again = run(project, tmp_path, *few, start="QUANTIZATION")
    assert again.accuracy["cvm"] == report.accuracy["cvm"] and again.sharing is None


def layer(name: str) -> Constants:
    return Constants(Node("cvm.dense", name), f"{name}_w", f"{name}_m", f"{name}_b", 8, 8, 0, 127)


def test_the_largest_weights_stay_and_no_row_is_emptied() -> None:
    rng = np.random.default_rng(0)
    params = {f"{name}_w": rng.integers(-127, 128, (10, 20)) for name in "ab"}
    params["a_w"][3] = [1] + [0] * 19
    params.update(a_m=np.ones((1, 10), int), b_m=np.full((1, 10), 7))
    first, second = thinned([layer("a"), layer("b")], params, 0.25)
    for found in (first, second):
        assert found.kept is not None and found.kept.any(axis=1).all()
        weight = np.abs(params[found.weight])
        rest = found.kept.copy()
        rest[3] = False
        assert weight[rest].min() >= weight[~found.kept].max() - 1
    assert first.kept is not None and second.kept is not None
    assert 100 <= first.kept.sum() + second.kept.sum() <= 101
    (same,) = thinned([layer("a")], {**params, "a_m": np.full((1, 10), 50)}, 0.25)  # whatever the layer's unit
    (other,) = thinned([layer("a")], params, 0.25)
    assert same.kept is not None and other.kept is not None
    np.testing.assert_array_equal(same.kept, other.kept)


def test_clusters_are_where_the_weights_are() -> None:
    weight = np.concatenate([np.full(30, -100), np.full(50, 3), np.full(20, 4), np.full(9, 90)]).reshape(1, -1)
    (found,) = shared([layer("a")], {"a_w": weight}, 2)
    assert found.clusters is not None and len(np.unique(found.clusters)) == 3 + 1
    (found,) = shared([layer("a")], {"a_w": weight}, 1)
    assert found.clusters is not None
    assert set(found.clusters[weight < 50].tolist()) | set(found.clusters[weight > 50].tolist()) == {0, 1}
