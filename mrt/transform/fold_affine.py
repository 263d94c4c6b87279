"""Folds per-channel multiplications and additions into the convolution or dense layer before them.

    y = (conv(x, w) + b) * s + t      =>   y = conv(x, w * s) + (b * s + t)

This is what fuses BatchNorm, once its own rewrite rule has made it a multiplication and an addition. Multiplications
by constants that follow each other are merged, and so are additions; (x + a) * s becomes x * s + a * s, so that the
order is always multiply, then add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mrt import ops
from mrt.graph import Array, Graph, Node, Value, origins
from mrt.graph.attrs import flag
from mrt.graph.channels import per_channel
from mrt.ops import Layer
from mrt.transform.base import Builder, Pass


class FoldAffine(Pass):
    """Leaves no constant scale or shift that a layer's weights could have absorbed."""

    name = "fold_affine"

    def run(self, graph: Graph) -> Graph:
        """The folded graph."""
        while True:
            builder = Builder(graph)
            uses = graph.use_counts()
            changed = False

            def visit(
                node: Node,
                inputs: tuple[Value, ...],
                builder: Builder = builder,
                uses: dict[Value, int] = uses,
            ) -> Sequence[Value] | None:
                nonlocal changed
                if not ops.of(node).affine:
                    return None
                constant = builder.constant(inputs[1])
                if constant is None or uses[node.inputs[0]] != 1:
                    return None
                builder.current = node
                result = self._fold(node, inputs[0].node, constant, builder)
                changed |= result is not None
                return None if result is None else [result]

            graph = graph.rebuild(visit, builder.params)
            if not changed:
                return graph

    def _fold(self, node: Node, before: Node, constant: Array, builder: Builder) -> Value | None:
        multiply = node.op == "broadcast_mul"
        if (layer := ops.layer(before)) is not None:
            return self._into_layer(node, layer, before, constant, builder)
        if not ops.of(before).affine:
            return None
        inner = builder.constant(before.inputs[1])
        if inner is None or builder.constant(before.inputs[0]) is not None:
            return None
        if before.op == node.op:
            merged = inner * constant if multiply else inner + constant
            if max(inner.ndim, constant.ndim) < merged.ndim:
                return None
            return builder.op(node.op, [before.inputs[0], builder.param(merged)])
        if multiply:
            scaled = builder.op("broadcast_mul", [before.inputs[0], builder.param(constant)])
            return builder.op("broadcast_add", [scaled, builder.param(inner * constant)])
        return None

    def _into_layer(self, node: Node, operator: Layer, layer: Node, constant: Array, builder: Builder) -> Value | None:
        weight = builder.constant(layer.inputs[1])
        if weight is None:
            return None
        channels = operator.outputs(layer, weight)
        vector = per_channel(constant, channels, len(builder.shape(node.inputs[0])))
        if vector is None:
            return None
        biased = not flag(layer, "no_bias", False)
        bias = builder.constant(layer.inputs[2]) if biased else np.zeros(channels, np.float32)
        if bias is None:
            return None
        if node.op == "broadcast_mul":
            weight = operator.scaled(layer, weight, vector)
            bias = bias * vector
        else:
            bias = bias + vector
        folded = [builder.param(weight)]
        attrs = dict(layer.attrs)
        if biased or node.op == "broadcast_add":
            folded.append(builder.param(bias))
            attrs["no_bias"] = "False"
        # The layer keeps its name: the old one had no other reader, and users know it by that name.
        merged = replace(layer, inputs=(layer.inputs[0], *folded), attrs=attrs, origin=origins([layer, node]))
        return Value(merged)
