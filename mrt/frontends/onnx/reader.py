"""An ONNX model as a graph of MXNet's operators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mrt.errors import MRTError, Remedy
from mrt.executors.child import attempt
from mrt.frontends.onnx.builder import LARGEST, Builder
from mrt.frontends.onnx.file import load_model, package
from mrt.frontends.onnx.inputs import input_shapes
from mrt.frontends.onnx.values import BOOL, FLOAT, INT, SMALL, CutOff, Known, Live, Operand
from mrt.graph import Graph, Shape, Value
from mrt.graph.batch import InputShape

if TYPE_CHECKING:
    import onnx

_SECONDS = 300.0
_OWN = ("", "ai.onnx")
_KINDS = {
    "FLOAT": FLOAT,
    "FLOAT16": FLOAT,
    "BFLOAT16": FLOAT,
    "DOUBLE": FLOAT,
    "INT32": INT,
    "INT64": INT,
    "UINT32": INT,
    "UINT64": INT,
    "BOOL": BOOL,
    "INT8": SMALL,
    "UINT8": SMALL,
    "INT16": SMALL,
    "UINT16": SMALL,
}


def read_onnx(source: Any, shapes: InputShape | None = None) -> Graph:
    """The graph of an ONNX model.

    Args:
        source: the path of a model's file, or a ModelProto.
        shapes: of its input, or of its inputs by name, with -1 for the axis of the samples; by default as the model
            says, the first axis of each input being that of the samples where it is 1 or open.

    Raises:
        MRTError: it cannot be read, in one line.
    """
    package()
    if failure := attempt(partial(_try, source, shapes), _SECONDS):
        problem = failure.reason
        raise MRTError(f"the ONNX model cannot be read: {problem}" if failure.died else problem)
    return _read(source, shapes)


def _try(source: Any, shapes: InputShape | None) -> None:
    _read(source, shapes)


def _read(source: Any, shapes: InputShape | None) -> Graph:
    model = load_model(source)
    return graph_of(model, input_shapes(model, shapes))


def graph_of(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> Graph:
    """The graph of a model that has been opened, for inputs of these shapes; without -1, for no batch but that.

    Raises:
        MRTError: the model uses what cannot be expressed; the node is named.
    """
    from mrt.frontends.onnx.fold import initializers
    from mrt.frontends.onnx.lower import Lowering

    b = Builder()
    values: dict[str, Operand | None] = dict(initializers(model.graph.initializer))
    if model.graph.sparse_initializer:
        raise MRTError("sparse initializers are not supported; export the model with dense ones")
    inputs: dict[str, Shape] = {}
    for info in model.graph.input:
        if info.name in shapes and info.name not in values:
            one, two = (_filled(shapes[info.name], count) for count in (1, 2))
            _require_size(info.name, one)
            values[info.name] = b.input(info.name, one, two, _kind(info))
            inputs[info.name] = shapes[info.name] or (1,)
    opsets = {"" if each.domain in _OWN else each.domain: each.version for each in model.opset_import}
    local = {(each.domain, each.name): each for each in model.functions}
    wanted = [info.name for info in model.graph.output]
    Lowering(opsets, local, b).run(model.graph.node, values, needed=wanted)
    outputs = _outputs(model, values, b)
    return Graph(outputs, b.params, inputs).pruned()


def _filled(shape: Shape, count: int) -> Shape:
    return tuple(count if size == -1 else size for size in shape)


def _require_size(name: str, shape: Shape) -> None:
    entries = 1
    for size in shape:
        entries *= size
    if not 0 < entries <= LARGEST or min(shape, default=1) < 1:
        raise MRTError(f"input {name}: a shape of {shape} cannot be computed", Remedy.INPUT_SHAPE)


def _kind(info: Any) -> str:
    import onnx

    number = info.type.tensor_type.elem_type
    try:
        name = onnx.TensorProto.DataType.Name(number)
    except ValueError:
        name = str(number)
    if name not in _KINDS:
        raise MRTError(f"input {info.name}: entries of type {name} are not supported")
    return _KINDS[name]


def _outputs(model: onnx.ModelProto, values: Mapping[str, Operand | None], b: Builder) -> tuple[Value, ...]:
    """The graph's outputs; what was left out is replaced by what that read."""
    found: dict[Value, None] = {}
    for info in model.graph.output:
        operand = values.get(info.name)
        if operand is None:
            raise MRTError(f"output {info.name}: no node gives it")
        b.begin(info.name)
        if isinstance(operand, CutOff):
            for leaf in operand.leaves:
                found[_computed(leaf, b)] = None
            continue
        if isinstance(operand, Live) and operand.steps is not None:
            raise MRTError(
                f"output {info.name}: it is quantized integers; end the model with DequantizeLinear, so that they "
                "have a meaning"
            )
        found[_computed(operand, b)] = None
    return tuple(found)


def _computed(operand: Known | Live, b: Builder) -> Value:
    """The value of an output, which an input alone is not."""
    live = b.live(operand)
    return b.op("identity", [live]).value if live.value.node.is_variable else live.value
