"""`mrt export`: a compiled model for other engines."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvm.package import load_package

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.frontends.onnx.file import package

_LARGEST = 2**31 - 1  # bytes of a protobuf file


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "write a compiled model as an ONNX model that gives the same integers"
    command = commands.add_parser(
        "export", help=text, description=text, epilog="Example: mrt export data/digits_cvm --to onnx -o digits.onnx"
    )
    command.add_argument("model", metavar="MODEL_DIR", type=Path, help="a compiled model's folder")
    command.add_argument("--to", choices=("onnx",), default="onnx", help="the form (default onnx)")
    command.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: beside the folder, MODEL_DIR.onnx")
    command.add_argument("--float", action="store_true", help="real numbers in and out, by nodes at the ends")
    command.add_argument("--batch", metavar="N", type=int, help="one batch size, where it would take any")


def execute(options: argparse.Namespace) -> int:
    """Write it whole or not at all.

    Raises:
        MRTError: the onnx package is not installed, a node cannot be said in ONNX, or the file cannot be written.
        CVMError: there is no such model, it is damaged, or the target refuses it.
    """
    package()
    from mrt.targets.onnx.export import OPSET, to_onnx  # needs onnx

    if options.batch is not None and options.batch < 1:
        raise MRTError(f"--batch {options.batch}: at least 1")
    given = load_package(options.model)
    model = to_onnx(given.model, given.description, options.batch, options.float)
    if model.ByteSize() > _LARGEST:
        raise MRTError(f"{options.model}: its weights do not fit one ONNX file of 2 GB")
    folder = options.model.resolve()
    path = atomic_write(options.output or folder.with_name(f"{folder.name}.onnx"), model.SerializeToString())
    inputs = ", ".join(f"{each.name} {_shape(each)}" for each in model.graph.input)
    print(f"{path}: {len(model.graph.node)} nodes of opset {OPSET}; {inputs}")
    return 0


def _shape(value: Any) -> str:
    dims = [dim.dim_param or str(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    return f"({', '.join(dims)})"
