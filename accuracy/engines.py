"""The engines: each quantizes a network with its own tool at several settings and gives its outputs for the pictures.

An engine is imported only in its own worker, in the environment that has it.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Run = Callable[[Array], Array]

OURS = "cvm"


class Engine(ABC):
    """One of the tools compared.

    Attributes:
        beside_mrt: whether it runs in `.venv`, not in `.venv-bench`.
        settings: their names.
    """

    beside_mrt: bool = False
    settings: tuple[str, ...]

    def prepare(self, folder: Path) -> None:  # noqa: B027  (most have nothing to do)
        """What all settings need."""

    @abstractmethod
    def quantize(self, folder: Path, calibration: Array, setting: str) -> Run:
        """The network quantized at a setting, as a function from pictures to outputs (pictures, classes)."""


class Cvm(Engine):
    """The native runtime of this repository, on the model that mrt compiled with the settings of its configuration."""

    beside_mrt = True
    settings = ("default",)

    def quantize(self, folder: Path, calibration: Array, setting: str) -> Run:
        """See `Engine.quantize`; `accuracy.networks` has quantized it."""
        import cvm

        model = cvm.load(folder / "model")
        return lambda pictures: model.dequantize_output(np.asarray(model(model.quantize_input(pictures))))


class MXNet(Engine):
    """MXNet's own quantization, run by oneDNN."""

    beside_mrt = True
    settings = tuple(map(" ".join, itertools.product(("naive", "entropy"), ("auto", "int8", "uint8"))))

    def quantize(self, folder: Path, calibration: Array, setting: str) -> Run:
        """See `Engine.quantize`."""
        import mxnet as mx

        from bench.quantize_mxnet import quantize_for_mxnet

        target = folder / "mxnet"
        quantize_for_mxnet(folder / "prepared", target, calibration, *setting.split())
        block = mx.gluon.SymbolBlock.imports(f"{target}-symbol.json", ["data"], f"{target}-0000.params")
        block.hybridize(static_alloc=True)
        return lambda pictures: np.asarray(block(mx.nd.array(pictures)).asnumpy())


class OnnxRuntime(Engine):
    """ONNX Runtime's static quantization to QDQ form, weights per channel."""

    settings = tuple(map(", ".join, itertools.product(("minmax", "percentile", "entropy"), ("unsigned", "signed"))))

    def prepare(self, folder: Path) -> None:
        """See `Engine.prepare`."""
        from bench.quantize import clean

        clean(folder)

    def quantize(self, folder: Path, calibration: Array, setting: str) -> Run:
        """See `Engine.quantize`."""
        import onnxruntime

        from bench.quantize import for_onnxruntime

        method, activations = setting.split(", ")
        target = folder / "onnxruntime.onnx"
        for_onnxruntime(folder, target, calibration, activations, method, keep=True)
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", "1")  # else AVX2 without VNNI saturates
        session = onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])
        return lambda pictures: np.asarray(session.run(None, {"data": pictures})[0])


class OpenVino(Engine):
    """NNCF's post-training quantization, run by OpenVINO."""

    settings = tuple(
        map(", ".join, itertools.product(("mixed", "performance"), ("fast bias", "full bias"), ("8 bits", "7 bits")))
    )

    def quantize(self, folder: Path, calibration: Array, setting: str) -> Run:
        """See `Engine.quantize`."""
        import openvino
        from openvino import properties

        from bench.quantize import for_openvino

        preset, correction, weights = setting.split(", ")
        target = folder / "openvino.xml"
        for_openvino(folder, target, calibration, preset, correction == "fast bias", weights == "7 bits")
        model = openvino.Core().read_model(str(target))
        model.reshape([-1, *calibration.shape[1:]])
        # Else processors with bfloat16 would compute in that what is left in float.
        precision = {properties.hint.inference_precision(): openvino.Type.f32}
        compiled = openvino.Core().compile_model(model, "CPU", precision)
        return lambda pictures: np.array(compiled(pictures)[0])


ENGINES: dict[str, Engine] = {
    OURS: Cvm(),
    "ONNX Runtime": OnnxRuntime(),
    "OpenVINO": OpenVino(),
    "MXNet": MXNet(),
}
