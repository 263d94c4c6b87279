"""`mrt ablate`, and that each switch does what it says in a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mrt import cli
from mrt.analysis.ablation import variants
from mrt.config import load
from mrt.frontends import mxnet as mxnet_files
from mrt.report.ablation import Ablation, Outcome

STAGES = ("prepare", "quantize")


def arguments(project: Path, out: Path, *sets: str) -> list[str]:
    settings = [f"DEFAULT.Model_dir={project / 'data'}", f"DEFAULT.Output_dir={out}", "EVALUATION.Iter_num=2", *sets]
    return [str(project / "mrt/zoo/digits.ini"), *(part for each in settings for part in ("--set", each))]


@pytest.fixture(scope="module")
def found(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The report of `mrt ablate --quick` on digits, and the folder that it is in."""
    out = tmp_path_factory.mktemp("ablation")
    assert cli.main(["ablate", *arguments(project, out), "--quick", "--quiet"]) == 0
    return json.loads((out / "digits.ablation.json").read_text()), out


def test_every_switch_is_tried_on_the_same_pictures(found: tuple[dict[str, Any], Path]) -> None:
    report, folder = found
    settings = [outcome["setting"] for outcome in report["outcomes"]]
    assert settings == [
        "as configured",
        "[PREPARE] Equalize=False",
        "[CALIBRATION] Calibrator=absmax",
        "[CALIBRATION] Calibrator=percentile",
        "[CALIBRATION] Calibrator=entropy",
        "[CALIBRATION] Calibrator=auto",
        "[QUANTIZATION] Offset_activations=False",
        "[QUANTIZATION] Precision=8",
        "[QUANTIZATION] Bias_correction=False",
        "[QUANTIZATION] Rounding=nearest",
        "all of them off",
    ]
    assert report["metric"] == "top1" and 0.9 < report["float_score"] <= 1
    assert {path.name for path in folder.iterdir()} == {"digits.ablation.json", "digits.ablation.md"}
    sqnr = {outcome["setting"]: outcome["sqnr_db"] for outcome in report["outcomes"]}
    assert sqnr.pop("[QUANTIZATION] Precision=8") == sqnr["as configured"], "digits has no layer that is cheap enough"
    others = [value for setting, value in sqnr.items() if setting != "[CALIBRATION] Calibrator=auto"]
    assert len(set(others)) == len(others), "every switch does something; auto may come to what one calibrator does"
    assert sqnr["as configured"] > sqnr["[QUANTIZATION] Offset_activations=False"] + 1
    assert sqnr["as configured"] > sqnr["all of them off"] + 2


def test_the_first_outcome_is_that_of_a_plain_run(
    project: Path, found: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    assert cli.main([*arguments(project, tmp_path, f"COMPILATION.Dump_dir={tmp_path}"), "--quiet"]) == 0
    plain = json.loads((tmp_path / "digits.report.json").read_text())
    first = found[0]["outcomes"][0]
    assert (first["sqnr_db"], first["agreement"]) == (plain["sqnr_db"], plain["agreement"])
    assert found[0]["pictures"] == plain["samples"]
    assert found[0]["float_score"] == plain["accuracy"]["float"]["top1"]


def test_variants_differ_from_the_configuration_in_one_key(project: Path) -> None:
    config = load(project / "mrt/zoo/digits.ini", ["CALIBRATION.Lambda=9", "CALIBRATION.Calibrator=auto"])
    plain = config.as_dict()
    named = dict(variants(config))
    assert "[CALIBRATION] Calibrator=lambda" in named and "[QUANTIZATION] Rounding=learned" in named
    for name, variant in list(named.items())[1:-1]:
        changed = [
            f"[{section}] {key}={value}"
            for section, keys in variant.as_dict().items()
            for key, value in (keys or {}).items()
            if value != plain[section][key]
        ]
        assert changed == [name]
    assert named["as configured"] == config


def test_equalization_and_learned_rounding_can_be_switched(project: Path, tmp_path: Path) -> None:
    def weights(*sets: str) -> list[bytes]:
        assert cli.main([*arguments(project, tmp_path, "EVALUATION.Iter_num=0", *sets), "--quiet"]) == 0
        stages = [(tmp_path / f"digits.{stage}.json", tmp_path / f"digits.{stage}.params") for stage in STAGES]
        shape = {"data": (-1, 1, 8, 8)}
        return [b"".join(a.tobytes() for a in mxnet_files.load(*files, shape).params.values()) for files in stages]

    configured, learned, twice = weights(), *(weights("QUANTIZATION.Rounding=learned") for _ in range(2))
    plain = weights("PREPARE.Equalize=False")
    assert configured[0] == learned[0] != plain[0]
    assert configured[1] != learned[1] == twice[1]


def test_unknown_tensors_are_refused_with_those_near(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments(project, tmp_path, "CALIBRATION.Calibrators=dat: absmax")) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message == "mrt: [CALIBRATION] Calibrators: the network has no node dat; near: data"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (
            "EVALUATION.Iter_num=0",
            "an ablation compares on pictures to evaluate on, and there are none; check [EVALUATION]",
        ),
        ("QUANTIZATION.Restore_name=_OP_Convolution", "[QUANTIZATION] Restore_name: what is left in float"),
    ],
)
def test_what_cannot_be_ablated_is_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, wrong: str
) -> None:
    assert cli.main(["ablate", *arguments(project, tmp_path, given)]) == 2
    assert capsys.readouterr().err.startswith(f"mrt: {wrong}")
    assert not list(tmp_path.iterdir())


def test_the_table_says_what_the_configuration_gains() -> None:
    outcomes = [
        Outcome(setting="as configured", score=0.9, agreement=0.95, sqnr_db=30.0),
        Outcome(setting="[A] B=c", score=0.875, agreement=None, sqnr_db=31.5),
    ]
    report = Ablation(model="net", dataset="digits", pictures=40, metric="top1", float_score=0.925, outcomes=outcomes)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.markdown().splitlines()[4:]]
    assert rows[0] == ["setting", "top1", "agreement", "SQNR (dB)", "top1 points", "agreement points", "dB"]
    assert rows[2] == ["as configured", "90.00%", "95.00%", "30.0", "", "", ""]
    assert rows[3] == ["[A] B=c", "87.50%", "-", "31.5", "+2.50", "-", "-1.5"]
