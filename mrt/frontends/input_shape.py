"""What shape of input a network's files take, read off them as far as they say."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx

from mrt.errors import MRTError, Remedy
from mrt.frontends import mxnet as mxnet_files
from mrt.frontends.onnx.reader import read_onnx
from mrt.graph import Array, Shape

_SIDES = (224, 32, 28, 8, 299, 16, 64, 96, 112, 128, 160, 192, 256, 300, 320, 384, 416, 512)
_SMALL_SIDE, _FEW_CLASSES = 32, 200


@dataclass(frozen=True)
class InputGuess:
    """The inputs' shapes by name, -1 for the batch axis.

    Attributes:
        sure: whether the files say it all; else several sizes fit, of which this is the likeliest.
        outputs: shapes of the outputs for one sample.
    """

    shapes: Mapping[str, Shape]
    sure: bool
    outputs: tuple[Shape, ...]


def of_onnx(path: Path) -> InputGuess:
    """Of an ONNX model, which says its shapes.

    Raises:
        MRTError: the model cannot be read, or does not say them.
    """
    network = read_onnx(path, None)
    return InputGuess(dict(network.inputs), True, ())


def of_files(symbol_path: Path, params_path: Path) -> InputGuess:
    """Of MXNet's two files: as the symbol says, else the size of picture with which all parameters fit.

    Raises:
        MRTError: the files cannot be read, there is more than one input without a shape, or no size fits.
    """
    symbol, params = mxnet_files.load_symbol(symbol_path), mxnet_files.load_params(params_path)
    nodes = json.loads(symbol.tojson())["nodes"]
    inputs = [n for n in nodes if n["op"] == "null" and n["name"] not in params and "label" not in n["name"].lower()]
    if not inputs:
        raise MRTError(f"{params_path}: the network has no input: there is a parameter for every variable")
    said = {node["name"]: _said(node) for node in inputs}
    known = {name: shape for name, shape in said.items() if shape}
    if len(known) == len(said):
        outputs = _outputs(symbol, params, {name: (1, *shape[1:]) for name, shape in known.items()}) or ()
        return InputGuess(known, True, outputs)
    if len(said) > 1:
        missing = ", ".join(name for name in said if name not in known)
        raise MRTError(f"{symbol_path}: the files do not say the shapes of {missing}", Remedy.SHAPE_OF_EACH)
    (name,) = said
    return _fitting(symbol_path, symbol, params, nodes, name)


def _fitting(path: Path, symbol: Any, params: Mapping[str, Array], nodes: list[Any], name: str) -> InputGuess:
    channels = _channels(nodes, params, name)
    shapes = [(1, channels, side, side) for side in _SIDES] if channels else []
    dense = [(1, int(a.shape[1])) for a in params.values() if a.ndim == 2]
    fits = {shape: found for shape in (*shapes, *dense) if (found := _outputs(symbol, params, {name: shape}))}
    if not fits:
        raise MRTError(
            f"{path}: the files do not say the shape of {name}, and none that is usual fits; write it yourself"
        )
    pictures = [shape for shape in fits if len(shape) > 2] or list(fits)
    chosen = pictures[0]
    classes = fits[chosen][0][-1]
    small = next((shape for shape in pictures if shape[-1] == _SMALL_SIDE), None)
    if small and len(pictures) > 1 and classes < _FEW_CLASSES:
        chosen = small
    return InputGuess({name: (-1, *chosen[1:])}, len(pictures) == 1, fits[chosen])


def _said(node: Mapping[str, Any]) -> Shape | None:
    """The shape that a variable's attributes give, its first axis that of the batch."""
    attrs = node.get("attrs") or node.get("attr") or {}
    text = str(attrs.get("__shape__", "")).strip("()[] ")
    try:
        shape = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        return None
    return (-1, *shape[1:]) if len(shape) > 1 and all(size > 0 for size in shape[1:]) else None


def _channels(nodes: list[Any], params: Mapping[str, Array], name: str) -> int | None:
    """How many channels the first convolution reads; None where there is none."""
    for node in nodes:
        if node["op"] == "Convolution":
            weight = params.get(nodes[node["inputs"][1][0]]["name"])
            if weight is not None and weight.ndim == 4:
                return int(weight.shape[1]) * int(node.get("attrs", {}).get("num_group", 1))
    return None


def _outputs(symbol: Any, params: Mapping[str, Array], shapes: Mapping[str, Shape]) -> tuple[Shape, ...] | None:
    """The outputs' shapes, where every parameter has the shape that follows from the input's."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where MXNet prints what it raises, too
            arguments, outputs, auxiliary = symbol.infer_shape(**shapes)
    except (mx.base.MXNetError, TypeError, ValueError):
        return None
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    if not outputs:
        return None
    wanted = dict(zip(names, [*arguments, *auxiliary]))
    fits = all(tuple(array.shape) == tuple(wanted[key]) for key, array in params.items() if key in wanted)
    return tuple(tuple(shape) for shape in outputs) if fits else None
