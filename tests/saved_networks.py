"""Small networks as users have them: in MXNet's two files, loaded and compiled as a run does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from toolchain import check, compile_network

from mrt.config import load
from mrt.graph import Array, Graph, Shape
from mrt.run.source import load_network

NAME = "net"
PICTURE: Shape = (-1, 1, 8, 8)


def save(
    symbol: Any,
    folder: Path,
    batch: int = 2,
    shape: Shape = PICTURE,
    inputs: Mapping[str, Shape] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> None:
    """Write a symbol and random parameters.

    Args:
        symbol: reads `data`.
        folder: where to.
        batch: the batch size that it is written for.
        shape: of the data, -1 for the batch axis.
        inputs: further inputs, that get no parameter, and their shapes.
        dtypes: of some parameters, by name.
    """
    random = np.random.default_rng(0)
    given = {"data": tuple(batch if d == -1 else d for d in shape), **(inputs or {})}
    shapes, _, aux_shapes = symbol.infer_shape(**given)
    arrays = {}
    sides = (("arg", symbol.list_arguments(), shapes), ("aux", symbol.list_auxiliary_states(), aux_shapes))
    for kind, names, sizes in sides:
        for name, size in zip(names, sizes):
            if name in given:
                continue
            spread = (2 / np.prod(size[1:])) ** 0.5 if len(size) > 1 else 0.1
            value = np.ones(size) if name.endswith(("var", "gamma")) else random.normal(0, spread, size)
            dtype = (dtypes or {}).get(name, "float32")
            arrays[f"{kind}:{name}"] = mx.nd.array(value * (40 if dtype == "int8" else 1), dtype=dtype)
    symbol.save(str(folder / f"{NAME}-symbol.json"))
    mx.nd.save(str(folder / f"{NAME}-0000.params"), arrays)


def configuration(folder: Path, shape: Shape = PICTURE) -> Path:
    """A configuration for the network in the folder."""
    path = folder / "net.ini"
    text = f"[DEFAULT]\nModel_dir={folder}\nModel_name={NAME}\nInput_shape={shape}\n[CALIBRATION]\nDataset=digits\n"
    path.write_text(text)
    return path


def loaded(folder: Path, shape: Shape = PICTURE) -> Graph:
    """The network in the folder, as a run loads it."""
    return load_network(load(configuration(folder, shape)))


def compiled(folder: Path, shape: Shape = PICTURE, bar: float = 30.0) -> Graph:
    """Likewise, taken through the whole compiler with everything checked."""
    network = loaded(folder, shape)
    check(compile_network(network), bar)
    return network


def outputs(symbol: Any, folder: Path, **feed: Array) -> list[Array]:
    """What MXNet itself computes of the files' parameters."""
    saved = {key.split(":")[1]: value for key, value in mx.nd.load(str(folder / f"{NAME}-0000.params")).items()}
    arguments = [mx.nd.array(feed[name]) if name in feed else saved[name] for name in symbol.list_inputs()]
    results = mx.nd.CachedOp(symbol)(*arguments)
    return [result.asnumpy() for result in (results if isinstance(results, list) else [results])]
