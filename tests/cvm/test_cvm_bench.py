"""`python -m cvm bench`: what it measures fits together."""

from __future__ import annotations

import json

import cvm_models as models
import pytest
from cvm.__main__ import main
from cvm.package import save_package


@pytest.fixture
def folder(tmp_path):
    save_package(tmp_path / "m", models.small(), {})
    return str(tmp_path / "m")


def test_json_fits_together(folder, capsys) -> None:
    arguments = ["--seconds", "0.1", "--batch", "3", "--threads", "1", "--layers", "--json"]
    assert main(["bench", folder, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["batch"], found["threads"], found["version"]) == (3, 1, 1)
    assert 0 < found["least_ms"] <= found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"]
    assert found["samples_per_second"] == pytest.approx(3000 / found["mean_ms"])
    assert found["runs"] >= 5 and found["load_ms"] > 0 and found["peak_bytes"] > found["arena_bytes"] > 0
    layers = found["layers"]
    assert sum(layer["share"] for layer in layers) == pytest.approx(1)
    assert sum(layer["macs"] for layer in layers) == 3 * (4 * 8 * 8 * 27 + 640)
    assert [layer["ms"] for layer in layers] == sorted((layer["ms"] for layer in layers), reverse=True)


def test_text(folder, capsys) -> None:
    assert main(["bench", folder, "--seconds", "0.01"]) == 0
    text = capsys.readouterr().out
    for part in ("p50", "p90", "p99", "samples a second", "load", "bytes of tensors"):
        assert part in text
    assert "step, on one thread" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "cvm: none is not a model directory"),
        (["--batch", "0"], "cvm: --batch 0: must be at least 1"),
        (["--threads", "-1"], "cvm: --threads -1: must be at least 1"),
        (["--seconds", "nan"], "cvm: --seconds nan: must be more than 0"),
        (["--seconds", "0"], "cvm: --seconds 0: must be more than 0"),
    ],
)
def test_bad_input(folder, capsys, arguments, message) -> None:
    place = [] if arguments == ["none"] else [folder]
    assert main(["bench", *place, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err == message + "\n" and captured.out == ""
