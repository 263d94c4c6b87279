"""The sections that compress, from Python: the same integers as a configuration's, on arrays or a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cvm.package import load_package
from rich.console import Console

import mrt
from mrt import datasets, pipeline
from mrt.config import load
from mrt.datasets import Dataset
from mrt.report import Progress

SECTIONS = (
    *("FINETUNE.Epochs=1", "FINETUNE.Batch=32", "PRUNING.Macs=0.6", "PRUNING.Multiple=1"),
    *("QAT.Bits=4", "QAT.Epochs=1", "QAT.Batch=32", "QAT.Held_out=200"),
    *("SHARING.Bits=4", "SHARING.Epochs=1", "SHARING.Batch=32", "SHARING.Held_out=200"),
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.get("digits")(None, (-1, 1, 8, 8))


def test_a_configuration_and_its_recipe_give_the_same_integers(project: Path, digits: Dataset, tmp_path: Path) -> None:
    given = [f"DEFAULT.Output_dir={tmp_path}", f"COMPILATION.Dump_dir={tmp_path}", *SECTIONS]
    config = load(project / "mrt" / "zoo" / "digits.ini", given)
    report = pipeline.run(config, Progress(Console(quiet=True)))
    recipe = mrt.Recipe.from_config(config)
    assert [stage.name for stage in recipe.compressing] == ["FINETUNE", "PRUNING"]
    model = mrt.quantize(str(project / "data" / "digits-symbol.json"), digits, recipe=recipe)
    assert [step.macs for step in model.compression] == [step.macs for step in report.compression]
    written = load_package(tmp_path / "digits_cvm").model
    assert model.cvm.params.keys() == written.params.keys()
    assert all(np.array_equal(model.cvm.params[name], written.params[name]) for name in written.params)


def test_on_the_callers_arrays(project: Path, digits: Dataset, tmp_path: Path) -> None:
    pictures, labels = next(digits.batches("train", 1000))
    recipe = mrt.Recipe(pruning={"macs": 0.5, "multiple": 1}, finetune={"epochs": 2, "batch": 32})
    network = str(project / "data" / "digits-symbol.json")
    model = mrt.quantize(network, pictures[:200], recipe=recipe, train=(pictures, labels))
    loaded, pruned, tuned = model.compression
    assert loaded.macs > 2 * pruned.macs == 2 * tuned.macs
    assert model.evaluate(next(digits.batches("evaluation", 500))).accuracy["cvm"]["top1"] > 0.9


@pytest.mark.parametrize(
    ("sections", "train", "said"),
    [
        ({"qat": {"bits": 4}}, None, r"qat trains: give train=\(array, labels\), or a dataset"),
        ({"finetune": {}}, (np.zeros((9, 1, 8, 8)), np.zeros(8)), "the data has 9 samples and 8 labels"),
        ({"pruning": {"macs": 2}}, None, r"Recipe: pruning\..acs = 2: should be less than 1"),
        ({"pruning": {}}, None, "needs one of ratio, macs and size"),
        ({"distillation": {"teacher": "digits"}}, None, "distillation needs finetune"),
    ],
)
def test_what_cannot_be_done_is_one_line(project: Path, sections: dict, train: object, said: str) -> None:
    with pytest.raises(mrt.MRTError, match=said):
        recipe = mrt.Recipe(**sections)
        network = str(project / "data" / "digits-symbol.json")
        mrt.quantize(network, np.zeros((9, 1, 8, 8), np.float32), recipe=recipe, train=train)


def test_a_recipe_is_changed_by_sections() -> None:
    recipe = mrt.Recipe(finetune={"epochs": 1}, pruning={"ratio": 0.5}, calibrator="entropy")
    changed = recipe.replace(pruning={"macs": 0.5}, calibrator="mse")
    assert changed.pruning is not None and changed.pruning.macs == 0.5 and changed.calibration.calibrator == "mse"
    assert changed.compressing == recipe.compressing and recipe.replace(finetune=None).compressing == (
        recipe.compressing[1],
    )
