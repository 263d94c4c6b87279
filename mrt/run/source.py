"""Finds the network a configuration names: MXNet files, an ONNX model, or a Gluon zoo model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mxnet as mx

from mrt import nets
from mrt.config import Config
from mrt.config.paths import epochs, onnx_file, spellings
from mrt.errors import MRTError, Remedy
from mrt.frontends.reading import network_of_block, network_of_files, network_of_onnx
from mrt.graph import Graph
from mrt.graph.batch import InputShape
from mrt.packages import prepare_gluoncv

logger = logging.getLogger(__name__)

_SEED = 0


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
            net = _built(partial(nets.get, name), f"the network {name} cannot be built", "name another")
            net.initialize()
            return network_of_block(net, config.default.input_shape)
    return load_network(config)


def load_network(config: Config) -> Graph:
    """The float network.

    Raises:
        MRTError: no files and no zoo model of that name, or damaged files.
    """
    default = config.default
    return network_at(default.model_dir / default.model_name, default.input_shape, _alone(config))


def network_at(place: Path, shape: InputShape, alone: bool = False) -> Graph:
    """The float network in MXNet's files or the ONNX model whose names begin with `place`, else the zoo's of that name.

    `alone` takes a network that is for one sample at a time, too.

    Raises:
        MRTError: there is neither, or the files are damaged.
    """
    files = spellings(place.parent, place.name)
    for symbol_path, params_path in files:
        if symbol_path.is_file():
            _tell_epoch(place.parent, place.name, params_path)
            return network_of_files(symbol_path, params_path, shape, alone)
    model = onnx_file(place.parent, place.name)
    if model.is_file():
        return network_of_onnx(model, shape, alone)
    return _from_zoo(place.name, [model, *(symbol_path for symbol_path, _ in files)], shape, alone)


def _alone(config: Config) -> bool:
    """Whether the network may be for one sample at a time: it is cut, and evaluated so."""
    return bool(config.split_model.keys) and (config.evaluation is None or config.evaluation.batch == 1)


def _tell_epoch(folder: Path, name: str, taken: Path) -> None:
    """Say which of a network's numbered parameter files are taken, where that is not clear."""
    numbered = epochs(folder, name)
    if taken not in numbered or numbered == [folder / f"{name}-0000.params"]:
        return
    others = f", the last of {len(numbered)}" if len(numbered) > 1 else ""
    logger.warning("model %s: the parameters are those of %s%s", name, taken.name, others)


def _from_zoo(name: str, tried: list[Path], shape: InputShape, alone: bool) -> Graph:
    prepare_gluoncv()
    from gluoncv import model_zoo

    where = " or ".join(str(path) for path in tried)
    if name.lower() not in model_zoo.get_model_list():
        raise MRTError(f"model {name}: neither {where} exists, nor a Gluon zoo model of that name", Remedy.MODEL_FILES)
    logger.info("no %s: taking %s from the Gluon zoo", where, name)
    problem = f"model {name}: {where} does not exist, and the Gluon zoo's weights cannot be had"
    net = _built(
        partial(model_zoo.get_model, name, pretrained=True), problem, "export the network there with net.export"
    )
    return network_of_block(net, shape, alone)


def untrained_zoo_block(name: str) -> Any:
    """A network of the Gluon zoo, nothing of it trained or initialized.

    Raises:
        MRTError: GluonCV cannot build it.
    """
    prepare_gluoncv()
    from gluoncv import model_zoo

    def build() -> Any:
        try:
            return model_zoo.get_model(name, pretrained=False, pretrained_base=False)
        except TypeError:  # it has no base to leave untrained
            return model_zoo.get_model(name, pretrained=False)

    return _built(build, f"GluonCV cannot build {name}", "it is GluonCV's to mend")


def _built(build: Callable[[], Any], problem: str, advice: str) -> Any:
    """A network of a builder that may raise anything: the Gluon zoo's do.

    Raises:
        MRTError: the problem, and the first line of what it raised.
    """
    try:
        return build()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MRTError(f"{problem} ({reason[:120]}); {advice}") from None
