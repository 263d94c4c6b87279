"""`make accuracy`: the statistics, the page of a stored result, and what is said where something is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from scipy import optimize, stats
from toolchain import pictures, random_network

from accuracy.engines import OURS, Engine
from accuracy.judge import judge
from accuracy.networks import scales_as_batch_norm
from accuracy.report import markdown
from accuracy.results import Network, Results
from accuracy.statistics import difference, share, sqnr, sqnr_gain
from accuracy.worker import outputs_of, read_outputs, run_settings
from mrt.executors.mxnet import Executor
from mrt.transform import PREPARE, PassManager

ROOT = Path(__file__).resolve().parents[2]


def pair(count: int, gained: int, lost: int) -> tuple[Any, Any]:
    """Two rows of flags: one alone is set `gained` times, the other alone `lost` times, both on half of the rest."""
    one, other = np.zeros(count, bool), np.zeros(count, bool)
    one[:gained] = other[gained : gained + lost] = True
    both = gained + lost + (count - gained - lost) // 2
    one[gained + lost : both] = other[gained + lost : both] = True
    return one, other


def test_a_difference_counts_only_the_pictures_on_which_two_differ() -> None:
    assert difference(*pair(900, 12, 3)).value == pytest.approx(0.01)
    forward, backward = difference(*pair(900, 12, 3)), difference(*pair(900, 3, 12))
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))
    assert difference(*pair(900, 12, 3)) == pytest.approx(difference(*(row[::-1] for row in pair(900, 12, 3))))


@pytest.mark.parametrize(("gained", "lost"), [(25, 11), (24, 12), (20, 12), (11, 25), (6, 1), (5, 0), (3, 0)])
def test_a_difference_is_clear_exactly_where_mcnemar_finds_one(gained: int, lost: int) -> None:
    chi_squared = (gained - lost) ** 2 / (gained + lost)
    clear = stats.chi2.sf(chi_squared, 1) < 0.05
    found = difference(*pair(1000, gained, lost))
    assert (found.low > 0 or found.high < 0) == clear


def test_without_any_difference_the_interval_is_not_empty() -> None:
    found = difference(*pair(900, 0, 0))
    z_squared = stats.chi2.ppf(0.95, 1)
    assert (found.low, found.high) == pytest.approx((-z_squared / (900 + z_squared), z_squared / (900 + z_squared)))
    assert difference(np.ones(10, bool), np.zeros(10, bool)).high == 1.0


@pytest.mark.parametrize(("count", "gained", "lost"), [(50, 8, 1), (44, 0, 1), (900, 31, 20)])
def test_the_ends_of_a_difference_are_where_a_score_test_would_just_refuse(count: int, gained: int, lost: int) -> None:
    found = difference(*pair(count, gained, lost))
    for delta, side in ((found.low, 1), (found.high, -1)):

        def surprise(rare: float, delta: float = delta) -> float:
            """The negative log-likelihood where the other alone is set with probability `rare`."""
            parts = np.array([rare + delta, rare, 1 - 2 * rare - delta])
            return -float(np.sum(np.array([gained, lost, count - gained - lost]) * np.log(np.maximum(parts, 1e-300))))

        bounds = (max(0.0, -delta), (1 - delta) / 2)
        rare = optimize.minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        score = (gained - lost - count * delta) / np.sqrt(count * (2 * rare + delta - delta**2))
        assert score == pytest.approx(side * stats.norm.ppf(0.975), rel=1e-3)


def test_a_share_has_the_exact_binomial_interval() -> None:
    found = share(np.arange(900) < 845)
    assert found.value == 845 / 900
    assert stats.binom.sf(844, 900, found.low) == pytest.approx(0.025)  # so many or more, were it that low
    assert stats.binom.cdf(845, 900, found.high) == pytest.approx(0.025)


def test_sqnr_is_that_of_all_pictures_together() -> None:
    reference = np.array([[3.0, 4.0], [0.0, 5.0]])  # energy 50
    assert sqnr(reference, reference + np.array([[0.3, 0.4], [0.0, 0.5]])).value == pytest.approx(20.0)


def test_the_interval_of_sqnr_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        reference = rng.normal(size=(200, 4))
        found = sqnr(reference, reference + 0.1 * rng.normal(size=reference.shape))
        held += found.low <= 20.0 <= found.high
    assert held >= stats.binom.ppf(0.001, 60, 0.95)


def test_a_gain_in_sqnr_is_paired() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(300, 4))
    noise = rng.normal(size=reference.shape) * rng.exponential(size=(300, 1))  # some pictures are much worse for both
    found = sqnr_gain(reference, reference + 0.01 * noise, reference + 0.011 * noise)
    assert found.low == pytest.approx(found.value) == pytest.approx(found.high)
    assert found.value == pytest.approx(20 * np.log10(1.1))


def logits(classes: list[int], noise: float = 0.0) -> Any:
    """Outputs that put these classes first, of four."""
    return (np.eye(4)[classes] * 10 + noise * np.arange(4)).astype(np.float32)


def example() -> dict[str, Any]:
    """Eight pictures of class 0; the float network is right on six, ours on five, and one peer is best at `b`."""
    return {
        "labels": np.zeros(8, np.int64),
        "reference": logits([0, 0, 0, 0, 0, 0, 1, 2]),
        "ours": OURS,
        "outputs": {
            OURS: {"default": logits([0, 0, 0, 0, 0, 3, 1, 2], 0.1)},
            "ONNX Runtime": {
                "a": logits([0, 0, 0, 0, 3, 3, 1, 2], 0.1),
                "b": logits([0, 0, 0, 0, 0, 0, 1, 0], 2.0),
                "c": "ValueError: not so",
            },
            "MXNet": {"auto": "MXNetError: no kernel"},
        },
    }


def results() -> Results:
    engines = judge(**example())
    network = Network("net", "toy", 5, 8, 0.75, 4, 0, engines, {"MXNet": "MXNetError: no kernel"})
    return Results("2020-02-02", "a processor", {"cvm": "1.2"}, [network], {"other": "weights not found in data"})


def test_an_engine_is_judged_at_the_setting_that_agrees_best() -> None:
    found = judge(**example())
    assert found.keys() == {OURS, "ONNX Runtime"}
    ours, peer = found[OURS], found["ONNX Runtime"]
    assert (ours.top1, ours.lost.value, ours.agreement.value, ours.gain) == (0.625, 0.125, 0.875, None)
    assert (peer.best, peer.top1, peer.lost.value, peer.agreement.value) == ("b", 0.875, -0.125, 0.875)
    assert peer.gain and (peer.gain.agreement.value, peer.gain.clearest) == (0, "a")
    assert peer.settings["a"].sqnr and peer.settings["a"].sqnr > peer.sqnr.value
    assert peer.gain.sqnr.value == pytest.approx(ours.sqnr.value - peer.settings["a"].sqnr)
    assert peer.settings["a"].agreement == 0.75
    assert peer.settings["c"].failure == "ValueError: not so"


def test_results_survive_their_file() -> None:
    assert Results.from_json(results().to_json()) == results()
    stored = json.loads(results().to_json())["networks"][0]["engines"][OURS]
    assert stored["lost"][0] == 0.125 and stored["lost"][1] < 0.125 < stored["lost"][2]


def test_the_page_says_what_was_measured() -> None:
    page = markdown(results())
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    header, _, ours, peer, failed = rows[:5]
    assert dict(zip(header, ours))["points lost"].startswith("12.50 [")
    assert dict(zip(header, ours))["network"] == "net" and dict(zip(header, peer))["network"] == ""
    assert dict(zip(header, ours))["mismatches"] == "0 of 4"
    assert (dict(zip(header, peer))["engine"], dict(zip(header, peer))["setting"]) == ("ONNX Runtime", "b")
    assert "failed: MXNetError: no kernel" in failed
    _, agreeing, agreement, verdict, clearest, *_ = rows[7]
    assert (agreeing, verdict, clearest) == ("ONNX Runtime: b", "level", "ONNX Runtime: a")
    assert agreement.startswith("0.00 [")
    assert "- other: weights not found in data" in page
    assert ["", "c", "failed", "", ""] in rows


def test_the_page_in_docs_is_that_of_its_results() -> None:
    stored = ROOT / "docs" / "accuracy.json"
    assert (ROOT / "docs" / "accuracy.md").read_text() == markdown(Results.from_json(stored.read_text()))


class Toy(Engine):
    """Doubles pictures at one setting and has two that do not work."""

    settings = ("twice", "broken", "endless")

    def quantize(self, folder: Path, calibration: Any, setting: str) -> Callable[[Any], Any]:
        assert len(calibration) == 3
        if setting == "broken":
            raise RuntimeError("Stack trace:\nkernel")
        factor = 2 if setting == "twice" else np.inf
        return lambda data: factor * data.reshape(len(data), -1)


def test_a_setting_that_fails_leaves_its_reason_and_the_others_count(tmp_path: Path) -> None:
    data = np.arange(1, 51, dtype=np.float32).reshape(50, 1, 1, 1)
    np.save(tmp_path / "pictures.npy", data)
    np.save(tmp_path / "calibration.npy", data[:3])
    run_settings(Toy(), tmp_path, tmp_path / "outputs")
    found = read_outputs(tmp_path / "outputs", Toy())
    np.testing.assert_array_equal(found["twice"], 2 * data.reshape(50, 1))
    assert found["broken"] == "RuntimeError: kernel"
    assert found["endless"] == "ValueError: outputs that are not finite"
    (tmp_path / "outputs" / "broken.txt").write_text("kept")
    run_settings(Toy(), tmp_path, tmp_path / "outputs")
    assert read_outputs(tmp_path / "outputs", Toy())["broken"] == "kept"


def test_the_last_batch_may_be_short(tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", np.ones((47, 2), np.float32))
    assert outputs_of(lambda data: data, tmp_path).shape == (47, 2)


def test_scales_that_no_layer_takes_up_are_a_batch_norm_again() -> None:
    data = mx.sym.var("data")
    net = mx.sym.BatchNorm(data, fix_gamma=False, name="bn")
    net = mx.sym.Convolution(
        mx.sym.Activation(net, act_type="relu", name="relu"), kernel=(3, 3), num_filter=4, name="c"
    )
    prepared = PassManager(PREPARE).run(random_network(net, (-1, 3, 8, 8)))
    restored = scales_as_batch_norm(prepared)
    assert [node.op for node in prepared.nodes()].count("broadcast_mul") == 1
    assert {"broadcast_mul", "broadcast_add"}.isdisjoint(node.op for node in restored.nodes())
    images = pictures(prepared, 4, seed=1)
    np.testing.assert_allclose(Executor(restored)(images)[0], Executor(prepared)(images)[0], rtol=1e-4, atol=1e-5)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the command, on a machine without datasets and with the one environment of the tests."""
    monkeypatch.setenv("MRT_DATA", str(tmp_path / "no data"))
    return ["-m", "accuracy", "--python", sys.executable, "--output", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["mnist"], "mnist: dataset mnist: .* not found; put it in .*no data"),
        (["mnust"], "zoo: no network mnust; did you mean mnist?"),
        (["mnist", "--models", "nowhere"], "--models .*nowhere: no such folder"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    given: list[str], reason: str, arguments: list[str], tmp_path: Path
) -> None:
    result = subprocess.run([sys.executable, *arguments, *given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.match("accuracy: " + reason, result.stderr) and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
