"""Finds the network a configuration names: MXNet files, or a Gluon zoo model."""

from __future__ import annotations

import logging
from pathlib import Path

import mxnet as mx

from mrt import nets
from mrt.config import Config
from mrt.config.paths import epochs, spellings
from mrt.errors import MRTError
from mrt.frontends.reading import network_of_block, network_of_files
from mrt.graph import Graph
from mrt.graph.batch import InputShape

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
            net = nets.get(name)
            net.initialize()
            return network_of_block(net, config.default.input_shape)
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
            return network_of_files(symbol_path, params_path, config.default.input_shape)
    return _from_zoo(name, [symbol_path for symbol_path, _ in files], config.default.input_shape)


def _tell_epoch(folder: Path, name: str, taken: Path) -> None:
    """Say which of a network's numbered parameter files are taken, where that is not clear."""
    numbered = epochs(folder, name)
    if taken not in numbered or numbered == [folder / f"{name}-0000.params"]:
        return
    others = f", the last of {len(numbered)}" if len(numbered) > 1 else ""
    logger.warning("Model_name=%s: the parameters are those of %s%s", name, taken.name, others)


def _from_zoo(name: str, tried: list[Path], shape: InputShape) -> Graph:
    from gluoncv import model_zoo

    where = " or ".join(str(path) for path in tried)
    if name.lower() not in model_zoo.get_model_list():
        raise MRTError(f"Model_name={name}: neither {where} exists, nor a Gluon zoo model of that name")
    logger.info("no %s: taking %s from the Gluon zoo", where, name)
    try:
        return network_of_block(model_zoo.get_model(name, pretrained=True), shape)
    except Exception as error:
        raise MRTError(
            f"Model_name={name}: {where} does not exist, and the Gluon zoo's weights cannot be had "
            f"({str(error).strip().splitlines()[0][:120]}); export the network there with net.export"
        ) from None
