"""Goes through an ONNX graph node by node: what is constant is computed, the rest becomes MXNet's operators."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx

from mrt.errors import MRTError
from mrt.frontends.onnx import fold, functions
from mrt.frontends.onnx.builder import Builder
from mrt.frontends.onnx.node import OnnxNode
from mrt.frontends.onnx.table import MOVING, RULES, passes_quantized
from mrt.frontends.onnx.values import CutOff, Live, Operand

logger = logging.getLogger(__name__)

_OWN = ("", "ai.onnx")
_CUT = ("NonMaxSuppression",)
_DEEPEST = 8


class Lowering:
    """Reads the nodes of a graph.

    Args:
        opsets: versions of the operator sets by domain.
        local: functions that the model defines, by domain and name.
        b: makes the nodes.
        depth: how many functions these are the body of.
    """

    def __init__(
        self, opsets: Mapping[str, int], local: Mapping[tuple[str, str], onnx.FunctionProto], b: Builder, depth: int = 0
    ) -> None:
        self._opsets = dict(opsets)
        self._local = local
        self._b = b
        self._depth = depth

    def run(
        self, nodes: Sequence[Any], values: dict[str, Operand | None], prefix: str = "", needed: Iterable[str] = ()
    ) -> None:
        """Add what the nodes give to `values`; `needed` are the outputs that somebody outside reads."""
        read = {name for node in nodes for name in node.input} | set(needed) | _read_inside(nodes)
        for position, proto in enumerate(nodes):
            name = prefix + _word(proto.name or next(filter(None, proto.output), f"node {position}"))
            inputs: list[Operand | None] = []
            for source in proto.input:
                if source and source not in values:
                    raise MRTError(
                        f"node {name} ({_word(proto.op_type)}): it reads {_word(source)}, which is neither an input, "
                        "an initializer nor given by a node before it; export the model again, or check it with "
                        "onnx.checker"
                    )
                inputs.append(values[source] if source else None)
            node = OnnxNode(
                _word(proto.op_type),
                "" if proto.domain in _OWN else proto.domain,
                name,
                inputs,
                {attr.name: _attribute(name, attr) for attr in proto.attribute},
                self._opsets.get("" if proto.domain in _OWN else proto.domain, 1),
                [output if output in read else "" for output in proto.output],
            )
            self._b.begin(name)
            try:
                outputs = self._outputs(node, proto, values)
            except MRTError:
                raise
            except Exception as error:  # a rule takes what it needs from attributes and inputs that may be anything
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                raise node.refuse(f"its attributes and inputs do not fit together ({reason})") from None
            for output, value in zip(proto.output, outputs):
                values[output] = value
            for output in proto.output[len(outputs) :]:
                if output and output in read:
                    raise node.refuse(f"its output {output} is not supported")

    def _outputs(self, node: OnnxNode, proto: Any, values: dict[str, Operand | None]) -> Sequence[Operand | None]:
        cut = [operand for operand in node.inputs if isinstance(operand, CutOff)]
        live = [operand for operand in node.inputs if isinstance(operand, Live)]
        if cut:
            return [CutOff(cut[0].leaves, cut[0].node)] * len(proto.output)
        if not node.domain and node.op == "If":
            return self._branch(node, proto, values)
        if not node.domain and node.op in _CUT and live:
            logger.warning(
                "node %s (%s): suppression and what follows it are left out; the outputs are what it reads",
                node.name,
                node.op,
            )
            return [CutOff(tuple(live), node.name)] * len(proto.output)
        if not live and node.op != "DequantizeLinear":
            return fold.folded(node, proto, self._opsets)
        if any(operand.steps is not None for operand in live) and not passes_quantized(node):
            raise node.refuse(
                "it computes with quantized integers, which is not supported; quantize with QuantizeLinear and "
                "DequantizeLinear around float operators"
            )
        rule = RULES.get((node.domain, node.op))
        if rule is not None:
            return self._ruled(node, rule)
        body = functions.body(node, proto, self._local, self._opsets)
        if body is None:
            kind = f"operator {node.domain + '.' if node.domain else ''}{node.op}"
            raise node.refuse(f"{kind} is not supported")
        return self._expanded(node, proto, body)

    def _ruled(self, node: OnnxNode, rule: Any) -> Sequence[Operand | None]:
        outputs = list(rule(node, self._b))
        source = node.inputs[0] if node.inputs else None
        if node.op in MOVING and isinstance(source, Live) and source.steps is not None:
            return [
                Live(out.value, out.one, out.two, out.kind, source.steps) if isinstance(out, Live) else out
                for out in outputs
            ]
        return outputs

    def _expanded(self, node: OnnxNode, proto: Any, body: onnx.FunctionProto) -> Sequence[Operand | None]:
        """The nodes of a function in place of its call."""
        if self._depth >= _DEEPEST:
            raise node.refuse("functions are nested too deeply")
        inside: dict[str, Operand | None] = dict(zip(body.input, [*node.inputs, *[None] * len(body.input)]))
        opsets = {**self._opsets, **{each.domain: each.version for each in body.opset_import}}
        called = Lowering(opsets, self._local, self._b, self._depth + 1)
        wanted = [name for name, output in zip(body.output, node.outputs) if output]
        called.run(functions.with_attributes(body, proto), inside, f"{node.name}/", wanted)
        return [inside.get(name) for name in body.output]

    def _branch(self, node: OnnxNode, proto: Any, values: dict[str, Operand | None]) -> Sequence[Operand | None]:
        """The branch that a constant condition takes."""
        condition = bool(node.array(0).reshape(-1)[0])
        wanted = "then_branch" if condition else "else_branch"
        graph = next((attr.g for attr in proto.attribute if attr.name == wanted), None)
        if graph is None:
            raise node.refuse(f"attribute {wanted} is missing")
        inside = {**values, **fold.initializers(graph.initializer)}
        self.run(graph.node, inside, f"{node.name}/", [output.name for output in graph.output])
        return [inside.get(output.name) for output in graph.output]


def _read_inside(nodes: Sequence[Any]) -> set[str]:
    """What the branches of control flow read from outside."""
    found: set[str] = set()
    for node in nodes:
        for attr in node.attribute:
            for graph in [attr.g, *attr.graphs] if attr.HasField("g") or attr.graphs else []:
                found |= {name for inner in graph.node for name in inner.input} | _read_inside(graph.node)
                found |= {output.name for output in graph.output}
    return found


def _word(text: Any) -> str:
    """A name in one line, also one that is no UTF-8."""
    return " ".join((text.decode(errors="replace") if isinstance(text, bytes) else str(text)).split())


def _attribute(where: str, attr: Any) -> Any:
    try:
        return onnx.helper.get_attribute_value(attr)
    except (ValueError, TypeError) as error:
        raise MRTError(f"node {where}: attribute {attr.name} is malformed ({error})") from None
