"""The shapes of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mrt.errors import MRTError, Remedy
from mrt.frontends.onnx.file import load_model

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
InputShape = Union[Shape, Mapping[str, Shape]]


def input_shapes(model: onnx.ModelProto, given: InputShape | None = None) -> dict[str, Shape]:
    """The shapes of a model's inputs: those that are given, else the model's own.

    Raises:
        MRTError: an input's shape is neither given nor in the model, or there is no such input.
    """
    inside = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in inside]
    names = [info.name for info in inputs]
    if not inputs:
        raise MRTError("the ONNX model has no input")
    if isinstance(given, Mapping):
        named = dict(given)
    elif given is not None and len(inputs) == 1:
        named = {names[0]: tuple(given)}
    elif given is not None:
        listed = ", ".join(names[:5])
        raise MRTError(
            f"the ONNX model has {len(names)} inputs ({listed}), and one shape is given", Remedy.SHAPE_OF_EACH
        )
    else:
        named = {}
    strange = [name for name in named if name not in names]
    if strange:
        raise MRTError(f"the ONNX model has no input {strange[0]}; its inputs are {', '.join(names[:5])}")
    return {info.name: _checked(info, named[info.name]) if info.name in named else _own_shape(info) for info in inputs}


def shape_in_words(path: str | Path) -> str:
    """A model's own input shapes as a configuration has them; empty where it leaves them open."""
    if not Path(path).is_file():
        return ""
    try:
        shapes = input_shapes(load_model(path))
    except MRTError as error:
        if error.remedy is None:
            raise
        return ""
    words = {name: f"({', '.join(map(str, shape))},)" for name, shape in shapes.items()}
    return ", ".join(words.values() if len(words) == 1 else (f"{name}: {shape}" for name, shape in words.items()))


def _sizes(info: Any) -> list[int | str | None] | None:
    """The sizes in the model: numbers, names, or None; None where it says nothing."""
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        return None
    found: list[int | str | None] = []
    for dim in info.type.tensor_type.shape.dim:
        found.append(int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param) or None)
    return found


def _own_shape(info: Any) -> Shape:
    """The first axis is the batch where it is 1 or open; all others must be known."""
    sizes = _sizes(info)
    if sizes is None or any(not isinstance(size, int) or size < 1 for size in sizes[1:]):
        raise MRTError(
            f"input {info.name}: the model leaves sizes open ({sizes}); give its shape, such as (-1, 3, 224, 224)",
            Remedy.INPUT_SHAPE,
        )
    first: list[int] = [] if not sizes else [sizes[0] if isinstance(sizes[0], int) and sizes[0] > 1 else -1]
    return (*first, *(int(size) for size in sizes[1:] if size is not None))


def _checked(info: Any, shape: Shape) -> Shape:
    """A given shape, which must not contradict the model's."""
    sizes = _sizes(info)
    fits = sizes is None or (
        len(sizes) == len(shape)
        and all(have == want or -1 in (have, want) or not isinstance(have, int) for have, want in zip(sizes, shape))
    )
    if not fits:
        raise MRTError(f"input {info.name}: a shape of {shape} is given, the model has {sizes}", Remedy.INPUT_SHAPE)
    return tuple(shape)
