"""Finds the network a configuration names: MXNet files, or a Gluon zoo model."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import mxnet as mx

from mrt import nets
from mrt.config import Config
from mrt.config.paths import epochs, spellings
from mrt.errors import MRTError
from mrt.executors.guarded import first_forward, first_shapes
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Graph, Shape
from mrt.transform.classic_operators import ClassicOperators
from mrt.transform.drop_labels import LOSSES, DropLabels
from mrt.transform.free_batch import FreeBatch

logger = logging.getLogger(__name__)

_SEED = 0
_PARAMETERS = ("weight", "bias", "gamma", "beta", "mean", "var", "parameters", "constant")  # how MXNet ends their names


def untrained_network(config: Config, network: str | None = None) -> Graph:
    """The float network with weights that mean nothing: what a structural run seeds.

    It is the network named `network`, [TRAIN] Network or Model_name, the first that `mrt.nets` or GluonCV can build,
    else the one in Model_dir's files.

    Raises:
        MRTError: there is none.
    """
    names = [network, config.train.network if config.train else None, config.default.model_name]
    for name in filter(None, names):
        if nets.known(name):
            mx.random.seed(_SEED)
            net = nets.get(name)
            net.initialize()
            return _exported(net, config.default.input_shape)
    return load_network(config)


def load_network(config: Config) -> Graph:
    """The float network.

    Raises:
        MRTError: no files and no zoo model of that name, or damaged files.
    """
    folder, name = config.default.model_dir, config.default.model_name
    files = spellings(folder, name)
    for symbol_path, params_path in files:
        if symbol_path.is_file():
            _tell_epoch(folder, name, params_path)
            return _from_files(symbol_path, params_path, config.default.input_shape)
    return _from_zoo(name, [symbol_path for symbol_path, _ in files], config.default.input_shape)


def _tell_epoch(folder: Path, name: str, taken: Path) -> None:
    """Say which of a network's numbered parameter files are taken, where that is not clear."""
    numbered = epochs(folder, name)
    if taken not in numbered or numbered == [folder / f"{name}-0000.params"]:
        return
    others = f", the last of {len(numbered)}" if len(numbered) > 1 else ""
    logger.warning("Model_name=%s: the parameters are those of %s%s", name, taken.name, others)


def _from_files(symbol_path: Path, params_path: Path, shape: Shape) -> Graph:
    symbol, params = mxnet_files.load_symbol(symbol_path), mxnet_files.load_params(params_path)
    nodes = json.loads(symbol.tojson())["nodes"]
    unknown = [node["name"] for node in nodes if node["op"] == "null" and node["name"] not in params]
    labels = [name for name in unknown if "label" in name.lower() or name in _labels_of_losses(nodes)]
    (data,) = _inputs([name for name in unknown if name not in labels], unknown, params_path)
    inputs: dict[str, Shape] = {data: shape, **{label: (-1,) for label in labels}}
    network = ClassicOperators().run(mxnet_files.from_symbol(symbol, params, inputs))
    network = DropLabels(labels).run(network)
    first_shapes(network)
    network = FreeBatch().run(network)
    first_forward(network)
    return network


def _labels_of_losses(nodes: list[Any]) -> set[str]:
    """The names of what training losses compare with."""
    return {nodes[node["inputs"][-1][0]]["name"] for node in nodes if node["op"] in LOSSES and len(node["inputs"]) > 1}


def _inputs(names: list[str], unknown: list[str], params_path: Path) -> list[str]:
    """The network's only input.

    Raises:
        MRTError: there is another number of them.
    """
    if len(names) == 1:
        return names
    if not unknown:
        raise MRTError(f"{params_path}: the network has no input: there is a parameter for every variable")
    if not names:
        raise MRTError(f"{params_path}: the network's only input is {unknown[0]}, a label by its name or its place")
    missing = [name for name in names if name.endswith(_PARAMETERS)]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise MRTError(f"{params_path}: there is no parameter {missing[0]}{more}; do the two files belong together?")
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    raise MRTError(
        f"{params_path}: the network has {len(names)} inputs ({listed}), and networks of one are compiled; give the "
        f"others as parameters, or export the part that reads {names[0]} alone"
    )


def _from_zoo(name: str, tried: list[Path], shape: Shape) -> Graph:
    from gluoncv import model_zoo

    where = " or ".join(str(path) for path in tried)
    if name.lower() not in model_zoo.get_model_list():
        raise MRTError(f"Model_name={name}: neither {where} exists, nor a Gluon zoo model of that name")
    logger.info("no %s: taking %s from the Gluon zoo", where, name)
    try:
        return _exported(model_zoo.get_model(name, pretrained=True), shape)
    except Exception as error:
        raise MRTError(
            f"Model_name={name}: {where} does not exist, and the Gluon zoo's weights cannot be had "
            f"({str(error).strip().splitlines()[0][:120]}); export the network there with net.export"
        ) from None


def _exported(net: mx.gluon.HybridBlock, shape: Shape) -> Graph:
    net.hybridize()
    try:
        net(mx.nd.zeros(tuple(1 if d == -1 else d for d in shape)))
    except (ValueError, TypeError, AssertionError, mx.MXNetError) as error:
        reason = next((line for line in str(error).splitlines() if "rror:" in line), " ".join(str(error).split()))
        raise MRTError(f"Input_shape={shape}: {net.name} cannot take one such input ({reason[:160]})") from None
    with tempfile.TemporaryDirectory() as folder:
        net.export(str(Path(folder) / "net"))
        return _from_files(Path(folder) / "net-symbol.json", Path(folder) / "net-0000.params", shape)
