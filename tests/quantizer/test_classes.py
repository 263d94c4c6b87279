"""Output=argmax: the first class of the highest score, out of the target's operators."""

from __future__ import annotations

import json
from pathlib import Path

import cvm
import numpy as np
import pytest
import sympy
from cvm import formal
from cvm.certificate import certify
from cvm.package import save_package

import mrt
from mrt import cli, datasets
from mrt.executors.mxnet import Executor
from mrt.graph import Graph, Node, Value
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.classes import with_classes
from mrt.quantizer.quantize import Quantized
from mrt.targets.cvm.compiler import compile_model


def scores_of(shape: tuple[int, ...], precision: int) -> Quantized:
    """A network that gives its input, of `precision` bits, as scores."""
    given, zero = Value(Node("null", "data")), Value(Node("null", "zero"))
    scores = Value(Node("cvm.broadcast_add", "scores", (given, zero)))
    graph = Graph((scores,), {"zero": np.zeros((1,) * (len(shape) + 1), np.int32)}, {"data": (-1, *shape)})
    given_info = TensorInfo("data", sympy.Integer(1), 0, precision)
    return Quantized(graph, (given_info,), (TensorInfo("scores", sympy.Integer(1), 0, precision + 1),))


@pytest.mark.parametrize("precision", [4, 16, 24, 31])
@pytest.mark.parametrize("shape", [(2,), (10,), (300,), (3, 4, 5), (33, 2, 3), (150, 2, 3)])
def test_it_is_argmax_for_all_executors(shape: tuple[int, ...], precision: int, tmp_path: Path) -> None:
    classes = with_classes(scores_of(shape, precision))
    model = compile_model(classes)
    assert certify(model).ok
    rng, most = np.random.default_rng(0), 2 ** (precision - 1) - 1
    random, ties = rng.integers(-most, most + 1, (3, *shape)), rng.integers(-1, 2, (3, *shape))
    level = np.broadcast_to(np.reshape([-most, most], (2, *[1] * len(shape))), (2, *shape))
    x = np.concatenate([random, ties, level]).astype(np.int32)
    x[0, -1] = most  # the last class
    expected = x.argmax(axis=1)
    save_package(tmp_path / "model", model, {}, x[:1].astype(np.int8 if precision <= 8 else np.int32), {})
    native = cvm.load(tmp_path / "model", threads=2)(x)
    for found in (formal.run(model, x)[0], Executor(classes.graph, dtype="float64")(x)[0], native):
        np.testing.assert_array_equal(found, expected)
    assert classes.meant([x])[0].tolist() == expected.tolist()
    assert (native.dtype == np.int8) == (shape[0] <= 128)


def test_what_has_no_classes_is_refused_by_name() -> None:
    with pytest.raises(mrt.MRTError, match=r"argmax: output scores of shape \(1, 7, 4\) is no scores"):
        with_classes(scores_of((7, 4), 8))


def test_digits_end_in_classes(project: Path) -> None:
    data = datasets.get("digits")(None, (-1, 1, 8, 8))
    values = mrt.quantize(project / "data/digits-symbol.json", data)
    model = mrt.quantize(project / "data/digits-symbol.json", data, recipe=mrt.Recipe(output="argmax"))
    ((x, labels),) = data.batches("evaluation", 500)
    found, scores = model(x), values(x)
    assert isinstance(found, np.ndarray) and isinstance(scores, np.ndarray)
    np.testing.assert_array_equal(found, scores.argmax(axis=1))
    report = model.evaluate(data)
    assert report.accuracy["cvm"] == {"top1": float((found == labels).mean())}
    assert report.agreement is not None and report.agreement > 0.99
    assert report.sqnr_db is None and report.bit_exact is not None and report.bit_exact.mismatches == 0
    with pytest.raises(mrt.MRTError, match="class numbers have no noise"):
        model.sqnr(x)


def test_a_run_describes_and_prints_classes(project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sets = [f"DEFAULT.Model_dir={project / 'data'}", f"DEFAULT.Output_dir={tmp_path}", "EVALUATION.Iter_num=2"]
    sets += ["QUANTIZATION.Output=argmax"]
    given = [part for value in sets for part in ("--set", value)]
    assert cli.main([str(project / "mrt/zoo/digits.ini"), *given]) == 0
    report = json.loads((tmp_path / "digits.report.json").read_text())
    assert report["accuracy"]["cvm"].keys() == {"top1"} and report["sqnr_db"] is None
    assert {example["integer"] for example in report["examples"]} <= set("0123456789")
    model = cvm.load(tmp_path / "digits_cvm")
    (output,) = model.description.outputs
    assert (output.classes, output.shape) == (10, (-1,))
    picture = (datasets.get("digits")(None, (-1, 1, 8, 8)).read("evaluation", np.arange(1))[0][0, 0]).astype(np.uint8)
    (best,) = model.predict(picture)
    assert best.label == str(best.index) and best.score == 1.0
    split = [*given, "--set", "SPLIT_MODEL.Keys=digits_dense0_fwd"]
    assert cli.main([str(project / "mrt/zoo/digits.ini"), *split]) == 2
    assert "Output = argmax cannot go with [SPLIT_MODEL] Keys" in capfd.readouterr().err
