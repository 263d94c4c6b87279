"""Errors state facts, in the words of the door that was taken: the command line names a configuration's keys."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import mrt
from mrt import cli
from mrt.advice import advised
from mrt.config.model import SECTIONS
from mrt.errors import MRTError, Remedy

KEYS = {str(field.alias) for section in SECTIONS.values() for field in section.model_fields.values()}
IN_A_FILE = re.compile(
    rf"\[({'|'.join(SECTIONS)})\]|\b({'|'.join(k for k in KEYS if '_' in k)})\b|\b({'|'.join(KEYS)}) ?="
)
OF_THE_COMMAND_LINE = ("config/", "cli.py", "advice.py", "run/draft.py", "zoo/", "report/", "view/")


@pytest.mark.parametrize(
    ("switches", "python", "file"),
    [
        (
            {"thresholds": {"nobody": 1.0}},
            "quantization.thresholds: the network has no node nobody",
            "[QUANTIZATION] Thresholds: the network has no node nobody",
        ),
        (
            {"calibrators": {"dat": "mse"}},
            "calibration.calibrators: the network has no node dat; near: data",
            "[CALIBRATION] Calibrators: the network has no node dat; near: data",
        ),
        (
            {"restore_name": ("nobody",)},
            "left in float: the network has no node nobody",
            "left in float: the network has no node nobody; check [QUANTIZATION] Restore_name",
        ),
        (
            {"device_type": "gpu", "device_ids": (99,)},
            "GPU 99: this mxnet sees 0 GPUs",
            "GPU 99: this mxnet sees 0 GPUs; use --device cpu (Device_type, Device_ids), or install the gpu extra",
        ),
    ],
)
def test_each_door_has_its_own_words(project: Path, switches: dict[str, object], python: str, file: str) -> None:
    pictures = np.random.default_rng(0).random((16, 1, 8, 8), np.float32)
    with pytest.raises(MRTError) as caught:
        mrt.quantize(project / "data" / "digits", pictures, recipe=mrt.Recipe(**switches))
    assert (str(caught.value), advised(caught.value)) == (python, file)
    again = pickle.loads(pickle.dumps(caught.value))  # as from another process
    assert (str(again), advised(again)) == (python, file)


def test_a_recipe_that_contradicts_itself(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MRTError, match=r"precision auto cannot go with restore_name") as caught:
        mrt.Recipe(precision="auto", restore_name=("a",))
    assert not IN_A_FILE.search(str(caught.value))
    config = str(project / "mrt/zoo/digits.ini")
    sets = ("--set", "QUANTIZATION.Precision=auto", "--set", "QUANTIZATION.Restore_name=a")
    assert cli.main([config, "--quiet", *sets]) == 2
    assert "[QUANTIZATION] precision auto cannot go with restore_name" in capsys.readouterr().err


@pytest.mark.parametrize("remedy", Remedy)
def test_the_command_line_has_advice_for_every_remedy(remedy: Remedy) -> None:
    assert advised(MRTError("wrong", remedy)).startswith("wrong; ")


def test_no_message_of_the_library_names_a_key_of_a_configuration(project: Path) -> None:
    found = []
    for path in sorted((project / "mrt").rglob("*.py")):
        name = path.relative_to(project / "mrt").as_posix()
        if not name.startswith(OF_THE_COMMAND_LINE):
            found += [f"{name}: {text}" for text in messages(ast.parse(path.read_text())) if IN_A_FILE.search(text)]
    assert found == []


def messages(tree: ast.AST) -> list[str]:
    """The texts of errors and of what is logged."""
    called = [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    said = [node for name, node in called if name.endswith(("Error", "refuse")) or name.startswith("logger.")]
    return ["".join(text for text in constants(node) if isinstance(text, str)) for node in said]


def constants(node: ast.AST) -> list[object]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
