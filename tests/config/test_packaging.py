"""What the packages hold and ask for."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from mrt import zoo
from mrt.config import load, paths


def test_nothing_of_ours_is_looked_for_on_an_index(project: Path) -> None:
    for file in (project / "pyproject.toml", project / "python" / "pyproject.toml"):
        listed = re.findall(r"dependencies = \[(.*?)\]", file.read_text(), re.DOTALL)
        names = set(re.findall(r'"([A-Za-z0-9-]+)', "".join(listed)))
        assert "numpy" in names and not names & {"cvm", "mrt"}


def test_both_packages_are_typed_and_licensed(project: Path) -> None:
    assert all((files(name) / "py.typed").is_file() for name in ("mrt", "cvm"))
    licence = (project / "LICENSE").read_text()
    assert "Apache License" in licence and (project / "python" / "LICENSE").read_text() == licence


def test_an_installed_package_finds_its_own_weights(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away from the sources, `Model_dir=data` is the package's, unless the working directory has the model."""
    package = tmp_path / "site-packages" / "mrt"
    (package / "data").mkdir(parents=True)
    for suffix in ("-symbol.json", "-0000.params"):
        (package / "data" / f"digits{suffix}").write_bytes((project / "data" / f"digits{suffix}").read_bytes())
    configuration = tmp_path / "own.ini"
    configuration.write_text(zoo.configuration("digits").read_text())
    monkeypatch.setattr(paths, "_PACKAGE", package)
    monkeypatch.setattr(paths, "_PROJECT", package.parent)
    monkeypatch.chdir(tmp_path)
    assert load(configuration).default.model_dir == package / "data"
    assert load(configuration).default.output_dir == tmp_path / "data"
    (tmp_path / "data").symlink_to(project / "data")
    assert load(configuration).default.model_dir == (project / "data").resolve()
