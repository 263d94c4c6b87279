"""Makes the networks: prepared by mrt with structural weights, as files for the peers and as a compiled model.

Runs in `.venv`: `python -m bench.networks FOLDER NAME...` writes FOLDER/NAME/:

- `prepared.json`, `prepared.params`: the prepared float network (BatchNorm folded), MXNet's two files;
- `params.npz`, `pictures.npy`, `outputs.npy`: the same parameters, PICTURES pictures, the network's outputs for them;
- `int8-symbol.json`, `int8-0000.params`: as MXNet quantizes it;
- `model/`: as mrt compiles it; `macs`: its multiply-adds per picture.
"""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from pathlib import Path

import cvm
import numpy as np

from bench.engines import side_by_side
from bench.quantize_mxnet import quantize_for_mxnet
from mrt import datasets, pipeline, zoo
from mrt.config import Config, load
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Array, Graph, Node, Value
from mrt.report import Progress

PICTURES = 16


def make(name: str, folder: Path) -> None:
    """Write the files of one network of the zoo.

    Weights are seeded (`mrt.run.seeded`) and pictures synthetic: neither changes what an engine has to compute.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = _settings(name, folder)
    model = config.default.model_name
    pipeline.run(config, Progress(), random_weights=True, network=name)
    (folder / f"{model}_cvm").rename(folder / "model")
    write_macs(folder)

    shape = config.default.only_shape
    prepared = mxnet_files.load(folder / f"{model}.prepare.json", folder / f"{model}.prepare.params", {"data": shape})
    network = pool_means(prepared)
    data = datasets.Synthetic(datasets.get(config.calibration.dataset), shape)
    ((pictures, _),) = data.batches("calibration", PICTURES, 0, PICTURES)
    write_float(folder, network, pictures)
    quantize_for_mxnet(folder / "prepared", folder / "int8", pictures)


def write_float(folder: Path, network: Graph, pictures: Array) -> None:
    """Write the float network, the pictures, and its outputs for them, side by side."""
    mxnet_files.save(network, folder / "prepared.json", folder / "prepared.params")
    np.savez(folder / "params.npz", **network.params)
    np.save(folder / "pictures.npy", pictures)
    np.save(folder / "outputs.npy", side_by_side(Executor(network)(pictures)))


def write_macs(folder: Path) -> None:
    """Write the multiply-adds of the compiled model."""
    (folder / "macs").write_text(str(sum(step["macs"] for step in cvm.load(folder / "model").plan(1)["steps"])))


def _settings(name: str, folder: Path) -> Config:
    """The zoo's configuration, with the quickest calibration and rounding: they change values, not the work."""
    overrides = {
        "DEFAULT.Model_dir": folder,
        "DEFAULT.Output_dir": folder,
        "PREPARE.Verify": False,
        "PREPARE.Equalize": False,  # the peers take the network as it is
        "PREPARE.Dump": True,
        "CALIBRATION.Batch": 4,
        "CALIBRATION.Calibrate_num": 1,
        "CALIBRATION.Dump": False,
        "QUANTIZATION.Rounding": "nearest",
        "QUANTIZATION.Dump": False,
        "EVALUATION.Iter_num": 0,
        "COMPILATION.Dump_dir": folder,
    }
    return load(zoo.configuration(name), [f"{key}={value}" for key, value in overrides.items()])


def pool_means(network: Graph) -> Graph:
    """The network with means over height and width as global average pooling, which the peers are fastest at.

    mrt's prepared form of them is a sum and a multiplication by 1 / (height * width).
    """
    shapes = infer_shapes(network)

    def visit(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if node.op != "broadcast_mul" or node.inputs[0].node.op != "sum":
            return None
        total = node.inputs[0].node
        _, _, height, width = shapes[total.inputs[0]]
        factor = network.constant(node.inputs[1])
        if total.attrs["axis"] != "(2, 3)" or factor is None or not np.allclose(factor * height * width, 1):
            return None
        attrs = {"global_pool": "True", "pool_type": "avg", "kernel": "(1, 1)"}
        return [Value(Node("Pooling", node.name, inputs[0].node.inputs, attrs))]

    return network.rebuild(visit)


if __name__ == "__main__":
    logging.getLogger("mrt").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of MXNet's quantization, about parameters that it fused
    for network_name in sys.argv[2:]:
        make(network_name, Path(sys.argv[1]) / network_name)
