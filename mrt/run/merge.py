"""Joins the integer base and the float top into one graph that runs on MXNet.

At the seam every base output is turned back into real numbers, scale * (q + offset), so the top computes what it
computed in the float network and its attributes and outputs need no scaling of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mrt.errors import MRTError
from mrt.graph import Array, Graph, Namer, Node, Value
from mrt.quantizer.quantize import Quantized

logger = logging.getLogger(__name__)

_DEPS = "merge_model.attribute_deps"


def merge(
    quantized: Quantized,
    top: Graph,
    attribute_deps: Mapping[str, Mapping[str, str]] | None = None,
    oscale_maps: Mapping[str, str | None] | None = None,
) -> Graph:
    """The merged graph: integers up to the seam, floats after it.

    Args:
        quantized: the base.
        top: the float part; its inputs are the base's outputs, in order.
        attribute_deps, oscale_maps: MRT's scale maps; the base outputs that they name must exist.

    Raises:
        MRTError: the two parts, or a map, do not fit together.
    """
    if len(quantized.outputs) != len(top.inputs):
        raise MRTError(f"merge: the base has {len(quantized.outputs)} outputs, the top {len(top.inputs)} inputs")
    _check(top, attribute_deps or {}, oscale_maps or {})
    base = _renamed(quantized.graph, top)
    seams: dict[str, Value] = {}
    for name, info, value in zip(top.inputs, quantized.outputs, base.outputs):
        shifted = Node("_plus_scalar", f"{name}_seam_offset", (value,), {"scalar": str(info.offset)}, (name,))
        scale = {"scalar": repr(float(info.scale))}
        scaled = Node("_mul_scalar", f"{name}_seam_scale", (Value(shifted),), scale, (name,))
        seams[name] = Value(Node("Cast", f"{name}_seam", (Value(scaled),), {"dtype": "float32"}, (name,)))

    def visit(node: Node, _: tuple[Value, ...]) -> Sequence[Value] | None:
        return [seams[node.name]] if node.is_variable and node.name in seams else None

    return Graph(top.outputs, {**base.params, **top.params}, {**top.inputs, **base.inputs}).rebuild(visit)


def _renamed(base: Graph, top: Graph) -> Graph:
    """The base with other names for the nodes that are called like one of the top's."""
    namer = Namer(Graph((*base.outputs, *top.outputs), {}, {}))
    taken = {node.name for node in top.nodes()} - set(top.inputs)
    params: dict[str, Array] = {}

    def visit(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        if node.name not in taken:
            return None
        name = namer(node.name)
        if node.is_variable:
            params[name] = base.params[node.name]
        return [Value(replace(node, name=name, inputs=inputs))]

    return base.rebuild(visit, params)


def _check(top: Graph, attribute_deps: Mapping[str, Mapping[str, str]], oscale_maps: Mapping[str, str | None]) -> None:
    operators = {node.op for node in top.nodes()}
    for operator, attributes in attribute_deps.items():
        if operator not in operators:
            logger.warning("the top has no operator %s", operator, extra={"switch": _DEPS})
        for attribute, source in attributes.items():
            if source not in top.inputs:
                raise MRTError(
                    f"{operator}: {attribute}: {source} is not one of the keys ({', '.join(top.inputs)})", switch=_DEPS
                )
    for output, name in oscale_maps.items():
        if name is not None and name not in top.inputs:
            raise MRTError(
                f"{output}: {name} is not one of the keys ({', '.join(top.inputs)})", switch="merge_model.oscale_maps"
            )
