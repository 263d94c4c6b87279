"""`mrt init`: a commented configuration for a network's files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mrt.atomic import atomic_write
from mrt.config.paths import onnx_file, spellings
from mrt.errors import MRTError
from mrt.graph import Shape

_ENDINGS = ("-symbol.json", ".json", ".params", ".onnx")
_DATASETS: dict[Shape, str] = {
    (1, 8, 8): "digits",
    (1, 28, 28): "mnist",
    (3, 32, 32): "cifar10",
    (3, 224, 224): "imagenet",
}

_TEXT = """# Written by mrt init for {model}. Run it with: mrt {output}
# Every key there is, with what it means: mrt/config/example.ini

[DEFAULT]
# Where the network's files are, and what they are called.
Model_dir={folder}
Model_name={name}
# {shape_note}
Input_shape={shape}
# Where checkpoints and the report go.
Output_dir=mrt_out

[CALIBRATION]
# The data that show what values occur: digits, mnist, cifar10, imagenet, ... or your own: folder (pictures in folders),
# npz (arrays), my_module:MyData (Python code). {data_note}
Dataset={dataset}
# Its folder, or the .npz file; without it MRT looks in MRT_DATA.
{dataset_dir}
# How many samples at a time, and how many times.
Batch=16
Calibrate_num=16

[DATASET]
# A picture becomes (pixel / Scale - Mean) / Std, by the dataset's numbers where none are given. CHECK: yours.
# Scale=255
# Mean=0.485, 0.456, 0.406
# Std=0.229, 0.224, 0.225
# The network's number of the dataset's first class: 1 where its own first is the background.
# Label_offset=0

[QUANTIZATION]
# auto gives 16 bits to the layers that gain most by them; 8, to none.
# Precision=auto

[EVALUATION]
# On the same data as calibration, its other split. Iter_num=0 evaluates nothing; without it, all there is.
Batch=16
# Iter_num=10

[COMPILATION]
# The compiled model goes to Dump_dir/{name}_cvm.
Dump_dir=mrt_out
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "write a commented configuration for a network's files"
    command = commands.add_parser("init", help=text, description=text, epilog="Example: mrt init models/net")
    command.add_argument("model", metavar="MODEL", type=Path, help="a symbol or ONNX file, or the start of its name")
    command.add_argument("-o", "--output", metavar="FILE", type=Path, help="what to write (default: NAME.ini)")
    command.add_argument("--force", action="store_true", help="replace a file that is there")


def execute(options: argparse.Namespace) -> int:
    """Write the file, and say what is to be looked at.

    Raises:
        MRTError: there are no such files, they do not say the shape of the input, or the file is there already.
    """
    folder, name = options.model.parent, _name(options.model)
    output = options.output or Path(f"{name}.ini")
    if output.exists() and not options.force:
        raise MRTError(f"{output} is there already; name another with -o, or give --force")
    text, guessed = draft(folder, name, output)
    print(atomic_write(output, text))
    for line in guessed:
        print(f"look at: {line}")
    return 0


def draft(folder: Path, name: str, output: Path) -> tuple[str, list[str]]:
    """The configuration of a network, to be written to `output`, and what in it was guessed.

    Raises:
        MRTError: as `execute`.
    """
    from mrt.frontends.input_shape import of_files, of_onnx  # imports mxnet, which takes seconds

    pairs = spellings(folder, name)
    files = next((pair for pair in pairs if pair[0].is_file()), None)
    model = onnx_file(folder, name)
    if files is None and not model.is_file():
        raise MRTError(f"{folder / name}: no {pairs[1][0].name}, {pairs[0][0].name} or {model.name}")
    found = of_files(*files) if files else of_onnx(model)
    guessed = [] if found.sure else ["Input_shape: other sizes fit, too"]
    shape_note = "The input, -1 for the axis of the samples: " + (
        "as the files say." if found.sure else "other sizes fit the files, too: CHECK."
    )
    shapes = list(found.shapes.values())
    dataset = _DATASETS.get(shapes[0][1:]) if len(shapes) == 1 else None
    if dataset is None:
        guessed.append("Dataset and Dataset_dir: your own data")
    else:
        guessed.append(f"Dataset={dataset}: guessed by the shape")
    text = _TEXT.format(
        model=files[0] if files else model,
        name=name,
        output=output,
        folder=folder.resolve(),
        shape_note=shape_note,
        shape=_written(dict(found.shapes)),
        data_note="CHECK: guessed by the shape." if dataset else "CHECK: an example.",
        dataset=dataset or "npz",
        dataset_dir="# Dataset_dir=" if dataset else "Dataset_dir=my_data.npz",
    )
    return text, guessed


def _name(path: Path) -> str:
    """The network's name of the path of one of its files, or of the start of their names."""
    name = path.name
    for ending in _ENDINGS:
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    stem, dash, number = name.rpartition("-")
    return stem if dash and path.suffix == ".params" and number.isdigit() else name


def _written(shapes: dict[str, Shape]) -> str:
    if len(shapes) == 1:
        return str(next(iter(shapes.values())))
    return ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
