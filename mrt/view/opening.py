"""Opens what there is to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from cvm import Model
from cvm.certificate import certify
from cvm.description import Meaning
from cvm.model import INPUT
from cvm.ops.base import limit
from cvm.package import SYMBOL, Package, load_package

from mrt.config.paths import spellings
from mrt.errors import MRTError
from mrt.view.seen import INPUT_OP, Seen, View

_QUANTIZED = ".quantize"
_ENDINGS = ("-symbol.json", ".json", ".params")


def open_view(place: Path) -> View:
    """The graph of a compiled model's folder, of a stage's checkpoint, or of a network's own files.

    Raises:
        MRTError: there is nothing of these, or it is damaged.
    """
    if (place / SYMBOL).is_file():
        package = load_package(place)
        return _of_model(package.model, _meanings(package))
    if place.is_dir():
        raise MRTError(f"{place}: no model in it; a compiled one has the files symbol and params")
    folder, name = place.parent, _stem(place)
    files = next((pair for pair in spellings(folder, name) if pair[0].is_file()), None)
    if files is None:
        raise MRTError(f"{place}: no such model; give a compiled model's folder, or a symbol's file")
    return _of_quantized(folder, name) if name.endswith(_QUANTIZED) else _of_float(folder, name, *files)


def _stem(place: Path) -> str:
    for ending in _ENDINGS:
        if place.name.endswith(ending):
            return place.name[: -len(ending)]
    return place.name


def _of_float(folder: Path, name: str, symbol: Path, params: Path) -> View:
    from mrt.executors.mxnet import infer_shapes  # imports mxnet, which takes seconds
    from mrt.frontends import mxnet as mxnet_files
    from mrt.frontends.input_shape import of_files
    from mrt.graph import Value

    kept = folder / f"{name}.inputs.json"
    try:
        inputs = json.loads(kept.read_text()) if kept.is_file() else dict(of_files(symbol, params).shapes)
        shapes = {str(key): tuple(int(size) for size in shape) for key, shape in inputs.items()}
    except (ValueError, TypeError, AttributeError, OSError):
        raise MRTError(f"{kept}: damaged checkpoint; run the stage that wrote it again") from None
    graph = mxnet_files.load(symbol, params, shapes)
    known = infer_shapes(graph, 1)
    nodes = [
        Seen(
            name=node.name,
            op=INPUT_OP if node.is_variable else node.op,
            inputs=tuple(dict.fromkeys(v.node.name for v in node.inputs if v.node.name not in graph.params)),
            attrs=dict(node.attrs),
            shape=tuple(known.get(Value(node), ())),
            parameters=sum(graph.params[v.node.name].size for v in node.inputs if v.node.name in graph.params),
            origin=node.origin,
        )
        for node in graph.nodes()
        if node.name not in graph.params
    ]
    return View(tuple(nodes), tuple(value.node.name for value in graph.outputs))


def _of_quantized(folder: Path, name: str) -> View:
    from mrt.run.checkpoints import Checkpoints  # imports mxnet, which takes seconds
    from mrt.targets.cvm.compiler import compile_model

    checkpoints = Checkpoints(folder, name[: -len(_QUANTIZED)])
    quantized = checkpoints.load_quantized()
    scales = {value.node.name: info for value, info in zip(quantized.graph.outputs, quantized.outputs)}
    meanings = {key: _meaning(str(info.scale), info.offset) for key, info in scales.items()}
    if len(quantized.inputs) == 1:
        meanings[INPUT] = _meaning(str(quantized.input.scale), quantized.input.offset)
    for key, entry in checkpoints.tensor_scales().items():
        meanings.setdefault(key, _meaning(*entry))
    origins = {node.name: node.origin for node in quantized.graph.nodes()}
    return _of_model(compile_model(quantized), meanings, origins)


def _meanings(package: Package) -> dict[str, str]:
    """What the integers of the ends mean, as far as that is one thing for each node."""
    named, nodes = package.description.inputs, package.model.nodes
    ends = list(zip((nodes[index].name for index, _ in package.model.heads), package.description.outputs))
    known: list[tuple[str, Meaning]] = [(name, output.meaning) for name, output in ends]
    known += [(INPUT, named[0].meaning)] if len(named) == 1 else []
    return {
        name: _meaning(str(meaning.scales[0]), meaning.offset) if len(meaning.scales) == 1 else "by channel"
        for name, meaning in known
        if meaning.scales
    }


def _meaning(scale: str, offset: int) -> str:
    return f"{float(Fraction(scale)):.4g}" + (f" (q{offset:+d})" if offset else "")


def _of_model(model: Model, scales: Mapping[str, str], origins: Mapping[str, tuple[str, ...]] | None = None) -> View:
    inferred = model.infer()
    proofs = {proof.name: proof for proof in certify(model).nodes if proof.output == 0}
    nodes = []
    for index, node in enumerate(model.nodes):
        if node.is_variable and node.name != INPUT:
            continue
        read = [model.nodes[i] for i, _ in node.inputs]
        precision, bound = inferred.precisions[index][0], limit(inferred.precisions[index][0])
        proof = proofs.get(node.name)
        nodes.append(
            Seen(
                name=node.name,
                op=INPUT_OP if node.is_variable else node.op,
                inputs=tuple(dict.fromkeys(each.name for each in read if not each.is_variable or each.name == INPUT)),
                attrs=dict(node.attrs),
                shape=tuple(inferred.shapes[index][0]),
                precision=precision,
                low=proof.low if proof else -bound,
                high=proof.high if proof else bound,
                scale=scales.get(node.name, ""),
                parameters=sum(model.params[e.name].size for e in read if e.name in model.params),
                origin=(origins or {}).get(node.name, ()),
            )
        )
    return View(tuple(nodes), tuple(model.nodes[i].name for i, _ in model.heads))
