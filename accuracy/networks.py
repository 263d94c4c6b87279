"""Makes what all engines read of a network of the zoo, and ours; in `.venv`, by `accuracy.__main__`.

`python -m accuracy.networks check NAME...` prints as JSON why a network cannot be measured here, or null, by name.

`python -m accuracy.networks make NAME` writes FOLDER/:

- `prepared.json`, `prepared.params`, `params.npz`: the prepared float network (BatchNorm folded) and its parameters;
- `calibration.npy`, `pictures.npy`, `labels.npy`: what to calibrate on and what to evaluate on, preprocessed by mrt;
- `outputs.npy`: the float network's outputs for `pictures`;
- `model/`: as mrt compiles it; `about.json`: the dataset's name, and on how many of the first pictures our two integer
  executors were compared and differed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.networks import pool_means
from mrt import pipeline, zoo
from mrt.atomic import atomic_write
from mrt.config import Config
from mrt.datasets import Dataset
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor
from mrt.frontends import mxnet as mxnet_files
from mrt.graph import Array, Graph, Node, Value
from mrt.report import Progress, Report
from mrt.run.pictures import Pictures
from mrt.run.source import load_network
from mrt.transform import PREPARE, PassManager
from mrt.zoo.check import check
from mrt.zoo.settings import settings

_COMPARED = 200  # pictures, at least; MXNet takes long in float64
_BATCH = 20
_BATCH_NORM = {"eps": "0.001", "fix_gamma": "False", "use_global_stats": "True"}


def main() -> None:
    """Check or make, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("check", "make"))
    parser.add_argument("names", nargs="+")
    parser.add_argument("--models", type=Path, help="a folder in which weights are looked for first")
    parser.add_argument("--folder", type=Path, help="where to make the network")
    parser.add_argument("--pictures", type=int, help="evaluate so many; default: all that there are")
    options = parser.parse_args()
    if options.action == "check":
        print(json.dumps({name: problem(name, options.models) for name in zoo.select(options.names)}))
        return
    logging.getLogger("mrt").setLevel(logging.ERROR)
    (name,) = options.names
    make(name, options.folder, options.models, options.pictures)


def problem(name: str, models: Path | None) -> str | None:
    """Why a network of the zoo cannot be measured here, or None."""
    found = check(name, models)
    weights = f"weights {found.weights}" if found.weights else None
    return found.configuration or weights or found.dataset or found.prepare


def make(name: str, folder: Path, models: Path | None, pictures: int | None) -> None:
    """Write the files of one network; what an earlier run left of the same float network and pictures stays there.

    Raises:
        MRTError: weights or data are missing, or the pipeline judged other pictures than those written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        config = _configuration(name, Path(scratch), models)
        report = pipeline.run(config, Progress())
        network = load_network(config)
        # Not what the pipeline prepared: equalization is a part of our quantization.
        prepared = scales_as_batch_norm(pool_means(PassManager(PREPARE).run(network)))
        calibration, evaluation, labels = _pictures(config, pictures)
        fresh = _digest(prepared, calibration, evaluation)
        if not (folder / "digest").is_file() or (folder / "digest").read_text() != fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for ours in (folder / "model", folder / "outputs" / "cvm"):
            shutil.rmtree(ours, ignore_errors=True)
        shutil.move(Path(scratch) / f"{config.default.model_name}_cvm", folder / "model")
    mxnet_files.save(prepared, folder / "prepared.json", folder / "prepared.params")
    np.savez(folder / "params.npz", **prepared.params)
    np.save(folder / "calibration.npy", calibration)
    np.save(folder / "pictures.npy", evaluation)
    np.save(folder / "labels.npy", labels)
    outputs = _outputs(network, evaluation)
    np.save(folder / "outputs.npy", outputs)
    _require_same(name, report, outputs.argmax(axis=1) == labels)
    compared = report.bit_exact.model_dump() if report.bit_exact else {"samples": 0, "mismatches": 0}
    atomic_write(folder / "about.json", json.dumps({"dataset": report.dataset, **compared}))
    atomic_write(folder / "digest", fresh)


def _configuration(name: str, scratch: Path, models: Path | None) -> Config:
    evaluation = settings(name, models).evaluation
    if evaluation is None:
        raise MRTError(f"{name}: its configuration has no [EVALUATION]")
    overrides = {
        "DEFAULT.Output_dir": scratch,
        "PREPARE.Verify": False,
        "PREPARE.Dump": False,
        "CALIBRATION.Dump": False,
        "QUANTIZATION.Dump": False,
        "EVALUATION.Iter_num": -(-_COMPARED // evaluation.batch),
        "COMPILATION.Dump_dir": scratch,
    }
    return settings(name, models, *(f"{key}={value}" for key, value in overrides.items()))


def _pictures(config: Config, most: int | None) -> tuple[Array, Array, Array]:
    """The pictures to calibrate on, those to evaluate on, and the classes of these: what the pipeline uses."""
    pictures = Pictures(config)
    calibration, _ = _all(pictures.calibration, "calibration", 0, pictures.calibrated)
    data, start, available = pictures.evaluated()
    evaluation, labels = _all(data, "evaluation", start, min(available, most or available))
    return calibration, evaluation, labels


def _all(data: Dataset, split: str, start: int, count: int) -> tuple[Array, Array]:
    parts = list(data.batches(split, min(_BATCH, count), start, count))
    return np.concatenate([pictures for pictures, _ in parts]), np.concatenate([labels for _, labels in parts])


def _outputs(network: Graph, pictures: Array) -> Array:
    run = Executor(network)
    return np.concatenate([run(pictures[start : start + _BATCH])[0] for start in range(0, len(pictures), _BATCH)])


def _require_same(name: str, report: Report, right: Array) -> None:
    judged, found = report.accuracy["float"]["top1"], float(right[: report.samples].mean())
    if abs(judged - found) > 1e-9:
        raise MRTError(
            f"{name}: float top-1 {found:.4f} on the pictures written, {judged:.4f} on those of the pipeline"
        )


def _digest(network: Graph, *pictures: Array) -> str:
    """Of all that the peers' results depend on."""
    found = hashlib.sha256(repr([(n.op, n.name, sorted(n.attrs.items())) for n in network.nodes()]).encode())
    arrays: Sequence[Array] = (*(network.params[key] for key in sorted(network.params)), *pictures)
    for array in arrays:
        found.update(repr(array.shape).encode() + np.ascontiguousarray(array).data)
    return found.hexdigest()


def scales_as_batch_norm(network: Graph) -> Graph:
    """The network with each multiplication and addition per channel as one BatchNorm.

    mrt's prepared form of a BatchNorm that no layer can take up (before a convolution, as in a ResNet v2) is these two.
    ONNX Runtime would quantize them as such, and lose by it; it leaves a BatchNorm alone.
    """
    added: dict[str, Array] = {}
    uses = network.use_counts()

    def visit(node: Node, inputs: tuple[Value, ...]) -> list[Value] | None:
        if node.op != "broadcast_add" or node.inputs[0].node.op != "broadcast_mul" or uses[node.inputs[0]] > 1:
            return None
        product = inputs[0].node
        scale, shift = network.constant(node.inputs[0].node.inputs[1]), network.constant(node.inputs[1])
        if scale is None or shift is None or not (_per_channel(scale) and _per_channel(shift)):
            return None
        count = max(scale.size, shift.size)
        variance = np.full(count, 1 - float(_BATCH_NORM["eps"]), np.float32)  # eps is added to it
        arrays = {"gamma": scale, "beta": shift, "mean": np.zeros(count, np.float32), "var": variance}
        parameters = []
        for key, array in arrays.items():
            parameters.append(Value(Node("null", f"{node.name}_{key}")))
            added[f"{node.name}_{key}"] = np.resize(array, count).astype(np.float32)
        return [Value(Node("BatchNorm", node.name, (product.inputs[0], *parameters), _BATCH_NORM))]

    return network.rebuild(visit, added)


def _per_channel(array: Array) -> bool:
    return array.ndim == 4 and array.size == array.shape[1]


if __name__ == "__main__":
    try:
        main()
    except MRTError as error:
        sys.exit(str(error))
