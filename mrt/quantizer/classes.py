"""An integer network whose outputs are classes instead of their scores."""

from __future__ import annotations

from dataclasses import replace

import sympy
from cvm.ops.base import Range, limit

from mrt.errors import MRTError
from mrt.executors.mxnet import infer_shapes
from mrt.graph import Graph, Value
from mrt.integer.builder import IntegerBuilder
from mrt.integer.first_largest import first_largest
from mrt.integer.qvalue import IntValue
from mrt.integer.tensor_info import TensorInfo
from mrt.quantizer.quantize import Quantized

_RANKS = (2, 4)


def with_classes(quantized: Quantized) -> Quantized:
    """The network with, for outputs of scores (N, C) or (N, C, H, W), the first classes of the highest: (N), (N, H, W).

    Raises:
        MRTError: an output is no scores of classes.
    """
    graph, shapes = quantized.graph, infer_shapes(quantized.graph)
    builder = IntegerBuilder(graph)
    values, infos = [], []
    for value, info in zip(graph.outputs, quantized.outputs):
        shape = shapes[value]
        if len(shape) not in _RANKS or shape[1] < 2:
            raise MRTError(
                f"argmax: output {info.name} of shape {shape} is no scores of classes, which are (N, C) or "
                "(N, C, H, W); leave it out",
                switch="quantization.output",
            )
        builder.node = value.node
        scores = IntValue(value, shape, info.precision, Range.of(-limit(info.precision), limit(info.precision)))
        places = builder.emit("squeeze", [first_largest(builder, scores)], {"axis": (1,)})
        values.append(places.value)
        infos.append(TensorInfo(info.name, sympy.Integer(1), 0, places.precision, classes=shape[1]))
    outputs: tuple[Value, ...] = tuple(values)
    return replace(
        quantized, graph=Graph(outputs, {**graph.params, **builder.params}, graph.inputs).pruned(), outputs=tuple(infos)
    )
