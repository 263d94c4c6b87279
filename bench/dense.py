"""Makes the networks of dense prediction: as their builders have them, for pictures of the size that they are used at.

Runs in `.venv`: `python -m bench.dense FOLDER MODELS NAME...` writes what `bench.networks` does, but for MXNet's int8
network, and `shapes.json`, of every value. `prepared` is the network before mrt changes anything, cut in front of a
detector's boxes, so that the peers may fuse what they can. Weights are seeded, but for a trained network in MODELS.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np

import mrt
from bench.networks import write_float, write_macs
from bench.subjects import DENSE, Dense
from mrt import datasets, nets, ops
from mrt.executors.mxnet import infer_shapes
from mrt.frontends.reading import read_network
from mrt.graph import Graph, Shape
from mrt.graph.attrs import flag
from mrt.run.keys import split_as_configured
from mrt.run.seeded import structural_network

_PICTURES = 2


def make(subject: Dense, folder: Path, models: Path) -> None:
    """Write the files of one network."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shape = (-1, 3, *subject.size)
    data = datasets.Synthetic(datasets.get("imagenet"), shape)
    ((pictures, _),) = data.batches("calibration", _PICTURES, 0, _PICTURES)
    network = _network(subject, shape, models)
    if not subject.trained:
        network = structural_network(network, pictures)
    network = _with_fixed_gammas(network)
    write_float(folder, network, pictures)
    shapes = {value.name: shape for value, shape in infer_shapes(network).items()}
    (folder / "shapes.json").write_text(json.dumps(shapes))

    model = mrt.quantize(network, pictures, input_shape=shape, recipe=_quick())
    model.save(folder / "model")
    write_macs(folder)


def _network(subject: Dense, shape: Shape, models: Path) -> Graph:
    if subject.trained:
        return read_network(models / subject.network, shape)
    block = nets.get(subject.network, **subject.options)
    block.initialize()
    network = read_network(block, shape)
    cut = split_as_configured(network, subject.keys)
    return cut.base if cut else network


def _with_fixed_gammas(network: Graph) -> Graph:
    """Ones, which MXNet takes for gammas with `fix_gamma` whatever they are, in their place."""
    params = dict(network.params)
    for node in network.nodes():
        if ops.of(node).normalizes and flag(node, "fix_gamma", True):
            gamma = node.inputs[1].node.name
            params[gamma] = np.ones_like(params[gamma])
    return Graph(network.outputs, params, network.inputs)


def _quick() -> mrt.Recipe:
    """The quickest preparation and rounding: they change values, not the work."""
    return mrt.Recipe(verify=False, equalize=False, rounding="nearest", batch=1, calibrate_num=1)


if __name__ == "__main__":
    logging.getLogger("mrt").setLevel(logging.ERROR)
    for name in sys.argv[3:]:
        make(DENSE[name], Path(sys.argv[1]) / name, Path(sys.argv[2]))
