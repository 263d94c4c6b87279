"""A trained network, in whatever form it comes, as a graph that has run once."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from mrt import ops
from mrt.config.paths import spellings
from mrt.errors import MRTError, Remedy
from mrt.executors.guarded import first_forward, first_shapes
from mrt.executors.symbol import loads
from mrt.frontends import mxnet as mxnet_files
from mrt.frontends.onnx.file import is_model, is_onnx
from mrt.frontends.onnx.reader import read_onnx
from mrt.frontends.torch import exported, is_module
from mrt.graph import Array, Graph, Shape, Value
from mrt.graph.batch import InputShape
from mrt.transform.classic_operators import ClassicOperators
from mrt.transform.drop_labels import DropLabels
from mrt.transform.free_batch import FreeBatch

_PARAMETERS = ("weight", "bias", "gamma", "beta", "mean", "var", "parameters", "constant")  # how MXNet ends their names
_MARKED_LOSSES = ("MakeLoss", "make_loss")


def read_network(net: Any, shapes: InputShape) -> Graph:
    """The graph of a network.

    Args:
        net: a Gluon HybridBlock, an MXNet `(symbol, params)` (or `(symbol, arg_params, aux_params)`), the path of a
            symbol file or the start of its name, an ONNX model or the path of its file (`.onnx`), a PyTorch module, or
            a Graph, which is taken as it is.
        shapes: of its input, or of its inputs by name (of a block, in the order in which it takes them).

    Raises:
        MRTError: it is none of these, its files are missing or damaged, or MXNet cannot run it.
    """
    if isinstance(net, Graph):
        return net
    if isinstance(net, mx.gluon.HybridBlock):
        return network_of_block(net, shapes)
    if isinstance(net, (str, Path)) and is_onnx(net):
        return network_of_onnx(net, shapes)
    if is_model(net):
        return network_of_onnx(net, shapes)
    if is_module(net):
        return network_of_onnx(exported(net, shapes), shapes if isinstance(shapes, Mapping) else {"data": shapes})
    if isinstance(net, (str, Path)):
        return network_of_files(*_files(Path(net)), shapes)
    if isinstance(net, Sequence) and len(net) in (2, 3) and isinstance(net[0], mx.sym.Symbol):
        merged = {name: array for part in net[1:] for name, array in part.items()}
        params = {name.split(":", 1)[-1]: _numpy(array) for name, array in merged.items()}
        return network_of_symbol(net[0], params, shapes, "the network")
    raise MRTError(
        f"{type(net).__name__} is no network: give a HybridBlock, (symbol, params), the path of a symbol file or of an "
        ".onnx file, an ONNX model, a PyTorch module, or a Graph"
    )


def shapes_of(data: Any) -> tuple[InputShape, Any]:
    """The shapes of the inputs that data is for, batch first, and the data, of which nothing is lost by looking.

    Raises:
        MRTError: it holds no arrays.
    """
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[1], Mapping):
        shapes, _ = shapes_of(data[0])
        return shapes, data
    if isinstance(data, Mapping):
        return {str(name): (-1, *np.shape(array)[1:]) for name, array in data.items()}, data
    if hasattr(data, "shape"):
        return (-1, *data.shape[1:]), data
    if not isinstance(data, Iterable):
        raise MRTError(f"{type(data).__name__} is no data: give an array, a dict of arrays, or what yields arrays")
    items = iter(data)
    try:
        first = next(items)
    except StopIteration:
        raise MRTError("the data has no samples") from None
    shapes, _ = shapes_of(first[0] if isinstance(first, (tuple, list)) else first)
    return shapes, data if items is not data else itertools.chain([first], items)


def network_of_files(symbol_path: Path, params_path: Path, shapes: InputShape, alone: bool = False) -> Graph:
    """The graph of MXNet's two files; see `network_of_symbol`."""
    symbol, params = mxnet_files.load_symbol(symbol_path), mxnet_files.load_params(params_path)
    return network_of_symbol(symbol, params, shapes, str(params_path), alone)


def network_of_symbol(
    symbol: mx.sym.Symbol, params: Mapping[str, Array], shapes: InputShape, where: str, alone: bool = False
) -> Graph:
    """The graph of a symbol with its parameters; errors begin with `where`. See `read_network`.

    `alone` takes a network that holds for one sample at a time as it is: to be run so, or cut before what makes it so.
    """
    document = loads(symbol.tojson())
    nodes = document["nodes"]
    unknown = [node["name"] for node in nodes if node["op"] == "null" and node["name"] not in params]
    named = shapes if isinstance(shapes, Mapping) else {}
    losses = _labels_of_losses(nodes) | _read_by_losses_only(nodes, [head[0] for head in document["heads"]])
    labels = [name for name in unknown if name not in named and ("label" in name.lower() or name in losses)]
    names = _inputs([name for name in unknown if name not in labels], unknown, where, named)
    inputs: dict[str, Shape] = dict(named) if isinstance(shapes, Mapping) else {names[0]: shapes}
    inputs.update({label: (-1,) for label in labels})
    network = ClassicOperators().run(mxnet_files.from_symbol(symbol, params, inputs))
    return _checked(DropLabels(labels).run(network), alone)


def network_of_onnx(source: Any, shapes: InputShape | None, alone: bool = False) -> Graph:
    """The graph of an ONNX model, from its path or as a ModelProto; see `network_of_symbol`."""
    network = read_onnx(source, shapes)
    if not network.inputs:
        raise MRTError("the ONNX model computes nothing from its inputs")
    return _checked(network, alone)


def _checked(network: Graph, alone: bool) -> Graph:
    """The network for any batch, after it has run once; of one sample at a time where that is all it can."""
    for node in network.nodes():
        ops.of(node).check(node)
    first_shapes(network)
    try:
        network = FreeBatch().run(network)
    except MRTError:
        if not alone:
            raise
        first_forward(network, alone=True)
        return network
    first_forward(network)
    return network


def network_of_block(net: mx.gluon.HybridBlock, shapes: InputShape, alone: bool = False) -> Graph:
    """The graph of a Gluon network; see `network_of_symbol`."""
    named = shapes if isinstance(shapes, Mapping) else {}
    sizes = list(shapes.values()) if isinstance(shapes, Mapping) else [shapes]
    try:
        _run_once(net, [mx.nd.zeros(tuple(1 if d == -1 else d for d in size)) for size in sizes])
    except (ValueError, TypeError, AssertionError, RuntimeError, mx.MXNetError) as error:
        reason = next((line for line in str(error).splitlines() if "rror:" in line), " ".join(str(error).split()))
        problem = f"input shape {shapes}: {net.name} cannot take one such input ({reason[:160]})"
        raise MRTError(problem, Remedy.INPUT_SHAPE) from None
    with tempfile.TemporaryDirectory() as folder:
        net.export(str(Path(folder) / "net"))
        files = Path(folder) / "net-symbol.json", Path(folder) / "net-0000.params"
        exported = shapes if len(sizes) == 1 and not named else _exported_names(sizes)
        return _renamed(network_of_files(*files, exported, alone), list(named))


def _run_once(net: mx.gluon.HybridBlock, arrays: Sequence[mx.nd.NDArray]) -> None:
    """A hybridized forward, as exporting needs it; without, first, where parameters have no shape and no reader."""
    net.hybridize()
    try:
        net(*arrays)
    except ValueError as error:  # MXNet infers the shapes of all parameters from the graph, of those not in it, too
        if "Deferred initialization failed" not in str(error):
            raise
        net.hybridize(False)
        net(*arrays)
        net.hybridize()
        net(*arrays)


def _exported_names(sizes: Sequence[Shape]) -> dict[str, Shape]:
    """The names that a Gluon export gives to a block's inputs."""
    return {"data": sizes[0]} if len(sizes) == 1 else {f"data{index}": size for index, size in enumerate(sizes)}


def _renamed(network: Graph, names: Sequence[str]) -> Graph:
    """The network with its inputs called by these names, in order; as it is without names."""
    if not names:
        return network
    new = dict(zip(network.inputs, names))
    taken = {node.name for node in network.nodes()} - set(new)
    clash = sorted(taken.intersection(names))
    if clash:
        raise MRTError(f"input {clash[0]}: the network has a node of that name; call the input something else")
    inputs = {new[name]: shape for name, shape in network.inputs.items()}
    changed = {
        node: Value(replace(node, name=new[node.name], origin=(new[node.name],)))
        for node in network.nodes()
        if node.name in new
    }
    return Graph(network.outputs, network.params, {**network.inputs, **inputs}).rebuild(
        lambda node, _: [changed[node]] if node in changed else None
    )


def _files(path: Path) -> tuple[Path, Path]:
    """The symbol and parameter files that a path means."""
    name = path.name
    for ending in ("-symbol.json", ".json"):
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    pairs = spellings(path.parent, name)
    return next((pair for pair in pairs if pair[0].is_file()), pairs[-1])


def _labels_of_losses(nodes: list[Any]) -> set[str]:
    """The names of what training losses compare with."""
    losses = [node for node in nodes if ops.known(node["op"]) and ops.get(node["op"]).compares]
    return {nodes[node["inputs"][-1][0]]["name"] for node in losses if len(node["inputs"]) > 1}


def _read_by_losses_only(nodes: list[Any], heads: list[int]) -> set[str]:
    """The names of variables that no output reads but what is marked as a loss; none where all outputs are."""
    reached: set[int] = set()
    waiting = [head for head in heads if nodes[head]["op"] not in _MARKED_LOSSES]
    if not waiting:
        return set()
    while waiting:
        if (number := waiting.pop()) not in reached:
            reached.add(number)
            waiting += [read[0] for read in nodes[number]["inputs"]]
    return {node["name"] for number, node in enumerate(nodes) if node["op"] == "null" and number not in reached}


def _inputs(names: list[str], unknown: list[str], where: str, given: Mapping[str, Shape]) -> list[str]:
    """The network's inputs, which must be those that are given or, of one whose name is not given, the only one.

    Raises:
        MRTError: they are others.
    """
    if not unknown:
        raise MRTError(f"{where}: the network has no input: there is a parameter for every variable")
    if not names:
        raise MRTError(f"{where}: the network's only input is {unknown[0]}, a label by its name or its place")
    if set(names) == set(given) or (len(names) == 1 and not given):
        return names
    missing = [name for name in names if name.endswith(_PARAMETERS) and name not in given]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise MRTError(f"{where}: there is no parameter {missing[0]}{more}; do the two files belong together?")
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    strange = [name for name in given if name not in names]
    if strange:
        raise MRTError(f"{where}: the network has no input {strange[0]}; its inputs are {listed}")
    raise MRTError(
        f"{where}: the network has {len(names)} inputs ({listed}), and not each is given a shape", Remedy.SHAPE_OF_EACH
    )


def _numpy(array: Any) -> Array:
    found: Array = array.asnumpy() if hasattr(array, "asnumpy") else np.asarray(array)
    return found
