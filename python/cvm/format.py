"""Models to and from the target's two files: the symbol (JSON) and the parameters (binary)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cvm import params as params_file
from cvm import symbol as symbol_file
from cvm.errors import CVMError
from cvm.files import read_file, write_files
from cvm.model import INPUT, Model
from cvm.ops.base import Array, stored_type
from cvm.symbol import Symbol


def encode(model: Model) -> tuple[bytes, bytes]:
    """The bytes of the symbol and of the parameters file; `CVMError` for a model the target refuses."""
    inferred = model.infer()
    if model.nodes[0].name != INPUT:
        raise CVMError(f"the first node must be the input {INPUT!r}")
    arrays = {
        node.name: model.params[node.name].astype(stored_type(model.precisions[node.name]))
        for node in model.nodes
        if node.is_variable and node.name != INPUT
    }
    return symbol_file.encode(model, inferred), params_file.encode(arrays)


def save(model: Model, symbol_path: str | os.PathLike[str], params_path: str | os.PathLike[str]) -> None:
    """Write both files, whole or not at all; `CVMError` for a model the target refuses or a place it cannot write."""
    symbol, params = encode(model)
    write_files({Path(symbol_path): symbol, Path(params_path): params})


def load(symbol_path: str | os.PathLike[str], params_path: str | os.PathLike[str]) -> Model:
    """Read a model, checking every rule of the format; `CVMError` names the file and what is wrong with it."""
    symbol_path, params_path = Path(symbol_path), Path(params_path)
    content = read_file(symbol_path)
    stored = read_file(params_path)
    try:
        symbol = symbol_file.decode(content)
    except CVMError as error:
        raise CVMError(f"{symbol_path}: {error}") from None
    try:
        arrays = params_file.decode(stored)
    except CVMError as error:
        raise CVMError(f"{params_path}: {error}") from None
    try:
        return _assemble(symbol, arrays)
    except CVMError as error:
        raise CVMError(f"{symbol_path}: {error}") from None


def _assemble(symbol: Symbol, arrays: dict[str, Array]) -> Model:
    variables = {node.name: i for i, node in enumerate(symbol.nodes) if node.is_variable}
    if INPUT not in variables:
        raise CVMError(f"the model has no input variable called {INPUT!r}")
    precisions = {name: symbol.precisions[i][0] for name, i in variables.items()}
    for name, value in arrays.items():
        if name in precisions and value.dtype != stored_type(precisions[name]):
            raise CVMError(f"parameter {name!r} of precision {precisions[name]} is stored as {value.dtype}")
    model = Model(
        nodes=symbol.nodes,
        heads=symbol.heads,
        params={name: value.astype(np.int32) for name, value in arrays.items()},
        precisions=precisions,
        input_shape=symbol.shapes[variables[INPUT]][0],
    )
    for node, stored, inferred in zip(model.nodes, symbol.shapes, model.infer().shapes):
        if stored != inferred:
            raise CVMError(f"node {node.name!r}: the stored shape {stored} differs from the inferred {inferred}")
    return model
