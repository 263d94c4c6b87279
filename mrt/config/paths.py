"""Where a configuration's folders are.

A relative folder that is read (Model_dir, Dataset_dir) is looked for in the working directory, as MRT does, then in the
configuration file's folder, then in the project's root: the first in which the model's files (or, for a dataset, the
folder) are found, else the working directory's. An installed package brings the project's own weights along, in its
folder `data`: a Model_dir is looked for there last. A relative folder that is only written (Output_dir, Dump_dir) is
the working directory's. (`~` is expanded before.)
"""

from __future__ import annotations

import glob
import re
from pathlib import Path

__all__ = [
    "code",
    "dataset_dir",
    "epochs",
    "model_dir",
    "model_files",
    "onnx_file",
    "output_dir",
    "spellings",
    "written_dir",
]

_PACKAGE = Path(__file__).resolve().parents[1]
_PROJECT = _PACKAGE.parent
_EPOCH = re.compile(r".*-(\d{4,})\.params", re.DOTALL)


def model_files(folder: Path, name: str) -> tuple[Path, Path] | None:
    """Return the symbol and parameter files of a model, in either spelling, or None where not both exist."""
    pairs = spellings(folder, name)
    return next((files for files in pairs if all(file.is_file() for file in files)), None)


def spellings(folder: Path, name: str) -> list[tuple[Path, Path]]:
    """Return the paths that a model's symbol and parameter files may have, in either spelling.

    `net.export` and Module's checkpoints number the parameters by epoch: of several, those of the last.
    """
    numbered = epochs(folder, name) or [folder / f"{name}-0000.params"]
    return [(folder / f"{name}.json", folder / f"{name}.params"), (folder / f"{name}-symbol.json", numbered[-1])]


def onnx_file(folder: Path, name: str) -> Path:
    """Return the path that an ONNX model has, whose name may be given with its ending."""
    return folder / (name if name.endswith(".onnx") else f"{name}.onnx")


def epochs(folder: Path, name: str) -> list[Path]:
    """Return the numbered parameter files of a model that are there, by epoch."""
    found = ((_EPOCH.fullmatch(path.name), path) for path in folder.glob(f"{glob.escape(name)}-*.params"))
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def model_dir(folder: Path, name: str, configuration: Path) -> Path:
    """Return the absolute Model_dir: the first candidate that holds the model, else the first that exists."""
    candidates = _candidates(folder, configuration)
    places = (*candidates, _packaged(folder))
    holding = [place for place in places if model_files(place, name) is not None or onnx_file(place, name).is_file()]
    return (holding or [candidate for candidate in candidates if candidate.is_dir()] or candidates)[0]


def dataset_dir(folder: Path, configuration: Path) -> Path:
    """Return the absolute Dataset_dir: the first candidate that exists."""
    candidates = _candidates(folder, configuration)
    return ([candidate for candidate in candidates if candidate.exists()] or candidates)[0]


def code(place: str, configuration: Path) -> str:
    """Return a place such as `my_module:MyData` with the absolute path of its file, where that is beside the file.

    A module that is not there is left to Python's own search.
    """
    module, _, name = place.strip().rpartition(":")
    if not module.strip("."):
        return place.strip()
    stem = Path(module).expanduser() if module.endswith(".py") else Path(*module.split(".")).with_suffix(".py")
    beside = configuration.resolve().parent / stem
    return f"{beside}:{name}" if module.endswith(".py") or beside.is_file() else place.strip()


def written_dir(folder: Path) -> Path:
    """Return the absolute folder of an output."""
    return Path.cwd() / folder


def output_dir(folder: Path, found: Path) -> Path:
    """Return where to write if only Model_dir is given, which was found: there, but never into an installed package."""
    return written_dir(folder) if found == _packaged(folder) else found


def _packaged(folder: Path) -> Path:
    return (_PACKAGE / folder).resolve()


def _candidates(folder: Path, configuration: Path) -> list[Path]:
    return [(base / folder).resolve() for base in (Path.cwd(), configuration.resolve().parent, _PROJECT)]
