"""Compiled models in every engine of this machine: `make test-engines MODELS="DIR …"`.

The formal executor, the native runtime with each table of kernels that the processor has, ONNX Runtime and OpenVINO,
where they are installed, on the ONNX export. Prints a row of docs/everywhere.md for each model, and ends with 1
where an integer differs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cvm
import numpy as np
import onnx
from cvm import _native, formal
from cvm.package import Package, load_package

from mrt.targets.onnx.export import to_onnx

KERNELS = ("avx512", "avxvnni", "avx2", "neon", "dotprod", "i8mm", "portable")
Outputs = list[np.ndarray]
Engine = Callable[[np.ndarray], Outputs]


def inputs(package: Package, folder: Path, samples: int) -> list[np.ndarray]:
    """The sample that the folder has, random integers, and the extremes."""
    model = package.model
    bound = 2 ** (model.precisions["data"] - 1) - 1
    rng = np.random.default_rng(0)
    shape = (samples, *model.input_shape[1:])
    made = [rng.integers(-bound, bound + 1, shape), rng.choice([-bound, bound], shape)]
    sample = folder / "data.npy"
    if sample.exists():
        made.insert(0, np.resize(np.load(sample), shape))
    return [x.astype(np.int8 if bound < 128 else np.int32) for x in made]


def native(folder: Path, kernels: str) -> Engine | None:
    """The native runtime with a table of kernels; None where processor or build has none such."""
    os.environ["CVM_KERNELS"] = kernels
    try:
        if _native.kernels() != kernels:
            return None
        model = cvm.load(folder)
    finally:
        del os.environ["CVM_KERNELS"]
    return lambda x: list(found) if isinstance(found := model(x), tuple) else [found]


def onnx_runtime(exported: onnx.ModelProto) -> Engine | None:
    """ONNX Runtime on its CPU provider; None where it is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"data": x})


def openvino(exported: onnx.ModelProto) -> Engine | None:
    """OpenVINO on the processor, held to float32; None where it is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino as ov

    core = ov.Core()
    model = core.read_model(exported.SerializeToString())
    compiled = core.compile_model(model, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})

    def run(x: np.ndarray) -> Outputs:
        found = compiled([x])
        return [np.array(found[i]) for i in range(len(compiled.outputs))]

    return run


def verdict(engine: Engine | None, feeds: list[np.ndarray], wanted: list[Outputs]) -> str:
    """How many integers differ from the specification's."""
    if engine is None:
        return ""
    different = 0
    for x, outputs in zip(feeds, wanted):
        for found, y in zip(engine(x), outputs):
            different += y.size if found.shape != y.shape else int((found.astype(np.int64) != y).sum())
    return str(different)


def record(target: Path, folder: Path, samples: int) -> None:
    """Write a model of one batch size, inputs and what the specification gives for them."""
    package = load_package(folder)
    feeds = inputs(package, folder, samples)
    target.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(package.model, package.description, samples), target / f"{folder.name}.onnx")
    arrays = {f"x{k}": x for k, x in enumerate(feeds)}
    for k, x in enumerate(feeds):
        arrays |= {f"y{k}_{i}": y for i, y in enumerate(formal.run(package.model, x))}
    np.savez(target / f"{folder.name}.npz", **arrays)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compares the engines on compiled models.")
    parser.add_argument("models", nargs="+", type=Path, metavar="DIR", help="a compiled model's folder")
    parser.add_argument("--samples", type=int, default=2, help="samples of each kind of input (default 2)")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="only write what everywhere_tvm.py reads")
    options = parser.parse_args()
    if options.record:
        for folder in options.models:
            record(options.record, folder, options.samples)
        return 0
    header = ["model", "integers", *KERNELS, "ONNX Runtime", "OpenVINO"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    equal = True
    for folder in options.models:
        package = load_package(folder)
        exported = to_onnx(package.model, package.description)
        feeds = inputs(package, folder, options.samples)
        wanted = [formal.run(package.model, x) for x in feeds]
        engines = [*(native(folder, kernels) for kernels in KERNELS), onnx_runtime(exported), openvino(exported)]
        found = [verdict(engine, feeds, wanted) for engine in engines]
        count = sum(y.size for outputs in wanted for y in outputs)
        equal &= not any(int(cell or 0) for cell in found)
        print(f"| {folder.name} | {count:,} | {' | '.join(found)} |", flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
