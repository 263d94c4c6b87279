"""PyTorch modules as ONNX models, by PyTorch's own export."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mrt.errors import MRTError
from mrt.frontends.onnx.file import package
from mrt.graph.batch import InputShape

if TYPE_CHECKING:
    import onnx

_OPSET = 17
_SAMPLES = 2


def is_module(net: Any) -> bool:
    """Whether something is a torch.nn.Module; asked without importing torch."""
    return any(c.__module__ == "torch.nn.modules.module" and c.__name__ == "Module" for c in type(net).__mro__)


def exported(module: Any, shapes: InputShape) -> onnx.ModelProto:
    """The ONNX model of a module as it infers; the module is left as it was.

    Args:
        module: a torch.nn.Module.
        shapes: of its input, or of its inputs by name in the order in which it takes them; -1 is the samples' axis.

    Raises:
        MRTError: PyTorch cannot export it.
    """
    package()
    named = dict(shapes) if isinstance(shapes, Mapping) else {"data": shapes}
    training = module.training
    module.eval()
    try:
        return _exported(module, named)
    finally:
        module.train(training)


def _exported(module: Any, named: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """With numbers, or, where it takes none, with whole numbers, such as indices."""
    import onnx
    import torch

    sizes = [tuple(_SAMPLES if size == -1 else size for size in shape) for shape in named.values()]
    axes = {name: {shape.index(-1): "batch"} for name, shape in named.items() if -1 in shape}
    reason = ""
    for kind in (torch.float32, torch.int64):
        stream: Any = io.BytesIO()
        samples = tuple(torch.zeros(size, dtype=kind) for size in sizes)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    module,
                    samples,
                    stream,
                    input_names=list(named),
                    dynamic_axes=axes,
                    opset_version=_OPSET,
                    dynamo=False,
                )
        except Exception as error:  # a module and its export may raise anything
            reason = reason or " ".join(str(error).split())[:200] or type(error).__name__
            continue
        return onnx.load_from_string(stream.getvalue())
    shown = ", ".join(f"{name}: {shape}" for name, shape in named.items())
    raise MRTError(f"{type(module).__name__}: PyTorch cannot export it for {shown} ({reason})")
