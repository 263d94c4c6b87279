"""The engines: each loads a network made by `bench.networks` and gives a function that runs it once.

An engine is imported only in its own worker, in the environment that has it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Run = Callable[[], Sequence[Array]]
"""Runs a network once and gives its outputs."""

OURS = "cvm"
_TRIALS = 5


class Engine(ABC):
    """One of the things compared.

    Attributes:
        beside_mrt: whether it runs in `.venv`, not in `.venv-bench`.
    """

    distribution: str
    beside_mrt: bool = False

    @abstractmethod
    def load(self, folder: Path, pictures: Array, threads: int) -> Run:
        """A function that runs the network on these pictures, from its input in memory to its output in memory."""


class Cvm(Engine):
    """The native runtime of this repository."""

    beside_mrt = True

    def load(self, folder: Path, pictures: Array, threads: int) -> Run:
        """See `Engine.load`; real values are made integers before and not within the run: that's the target's input."""
        import cvm

        model = cvm.load(folder / "model", threads=threads)
        data = model.quantize_input(pictures)

        def run() -> Sequence[Array]:
            outputs = model(data)
            return outputs if isinstance(outputs, tuple) else (outputs,)

        return run


class MXNet(Engine):
    """MXNet, hybridized with static memory; fused by oneDNN where that is faster."""

    beside_mrt = True

    def __init__(self, integer: bool) -> None:
        """Float, or as MXNet's own quantization made it."""
        self._integer = integer

    def load(self, folder: Path, pictures: Array, threads: int) -> Run:
        """See `Engine.load`; threads are those of OMP_NUM_THREADS."""
        import mxnet as mx

        data = mx.nd.array(pictures)
        files = ("int8-symbol.json", "int8-0000.params") if self._integer else ("prepared.json", "prepared.params")

        def run_of(backend: str | None) -> Run:
            block = mx.gluon.SymbolBlock.imports(str(folder / files[0]), ["data"], str(folder / files[1]))
            if backend:
                block.optimize_for(data, backend=backend, static_alloc=True, static_shape=True)
            else:
                block.hybridize(static_alloc=True, static_shape=True)

            def run() -> Sequence[Array]:
                outputs = block(data)
                return [output.asnumpy() for output in (outputs if isinstance(outputs, list) else [outputs])]

            return run

        return run_of(None) if self._integer else fastest([run_of(None), run_of("MKLDNN")])


class OnnxRuntime(Engine):
    """ONNX Runtime; in int8, the faster of unsigned and signed activations."""

    def __init__(self, integer: bool) -> None:
        """Float, or quantized by its own tool."""
        self._integer = integer

    def load(self, folder: Path, pictures: Array, threads: int) -> Run:
        """See `Engine.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("batch", len(pictures))

        def run_of(name: str) -> Run:
            session = onnxruntime.InferenceSession(
                str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
            )
            return lambda: session.run(None, {"data": pictures})

        return fastest([run_of(name) for name in ("u8s8", "s8s8")]) if self._integer else run_of("fp32")


class OpenVino(Engine):
    """OpenVINO, with the latency hint."""

    def __init__(self, integer: bool) -> None:
        """Float, or quantized by NNCF."""
        self._integer = integer

    def load(self, folder: Path, pictures: Array, threads: int) -> Run:
        """See `Engine.load`; input and output are shared with the engine, not copied."""
        import openvino
        from openvino import properties

        core = openvino.Core()
        model = core.read_model(str(folder / ("int8.xml" if self._integer else "fp32.onnx")))
        model.reshape(list(pictures.shape))
        settings = {
            properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
            properties.inference_num_threads(): threads,
            # Else processors with bfloat16 would compute the float network in that.
            properties.hint.inference_precision(): openvino.Type.f32,
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        request.set_input_tensor(openvino.Tensor(pictures, shared_memory=True))

        # The request holds the pictures' memory, but doesn't keep it alive.
        def run(_kept: Array = pictures) -> Sequence[Array]:
            return list(request.infer(share_outputs=True).values())

        return run


ENGINES: dict[str, Engine] = {
    "MXNet fp32": MXNet(False),
    "MXNet int8": MXNet(True),
    "ONNX Runtime fp32": OnnxRuntime(False),
    "ONNX Runtime int8": OnnxRuntime(True),
    "OpenVINO fp32": OpenVino(False),
    "OpenVINO int8": OpenVino(True),
    OURS: Cvm(),
}


def side_by_side(outputs: Sequence[Array]) -> Array:
    """All outputs of a batch as one array, a row per picture."""
    return np.concatenate([output.reshape(len(output), -1) for output in outputs], axis=1)


def fastest(runs: Sequence[Run]) -> Run:
    """The quickest of several ways to compute the same."""
    return min(runs, key=lambda run: min(timed(run, _TRIALS)[1:]))


def timed(run: Run, count: int) -> list[float]:
    """Seconds of each of so many runs."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds
