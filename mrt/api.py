"""`mrt.quantize`: a float network and data in, an integer network that can be called, measured and saved out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, Union

import cvm
from cvm.certificate import Certificate
from rich.console import Console

from mrt.analysis.sensitivity import measure
from mrt.config.compression import Finetune
from mrt.datasets import Dataset, Metric, Preprocess
from mrt.datasets.memory import Memory
from mrt.datasets.metric import TopK
from mrt.datasets.own import OwnMetric
from mrt.errors import MRTError
from mrt.executors import instruction_set
from mrt.executors.mxnet import Executor
from mrt.frontends.reading import read_network, shapes_of
from mrt.graph import Array, Graph
from mrt.graph.batch import Feed, InputShape, Samples
from mrt.quantizer.quantize import Quantized
from mrt.recipe import GIVEN, Recipe
from mrt.report import Progress, Report
from mrt.report.compression import CompressionStep
from mrt.report.sensitivity import Sensitivity
from mrt.run.batching import Run
from mrt.run.compile import compiling_stages, write_model
from mrt.run.evaluate import evaluate
from mrt.run.evaluation import any_batch, formal_run, native_run
from mrt.run.given import Given
from mrt.run.judge import BY_DATASET, named_metric, tried
from mrt.run.load import LoadGiven
from mrt.run.products import BASE, COMPILED, COMPRESSION, NETWORK, PREPARED, QUANTIZED
from mrt.run.stage import Product, run_stages
from mrt.run.stages import compressing_stages, recipe_stages
from mrt.run.training_data import Training
from mrt.targets.cvm.compiler import Compiled

__all__ = ["IntegerModel", "quantize"]

Outputs = Union[Array, tuple[Array, ...]]
_TWIN = 200
_PICTURES = 100
_NAME = "network"


def quantize(
    net: Any,
    data: Any,
    *,
    input_shape: InputShape | None = None,
    preprocess: Preprocess | None = None,
    recipe: Recipe | None = None,
    train: Any = None,
    progress: Progress | None = None,
) -> IntegerModel:
    """The integer network of a float one, by the whole recipe that `mrt CONFIG` runs.

    For the same integers on any processor, MXNet's computations on oneDNN are held to instructions that all have, from
    now on and where this process has made none before.

    Args:
        net: a Gluon HybridBlock, an MXNet `(symbol, params)`, the path of a symbol file, an ONNX model or the path of
            its file (`.onnx`), a PyTorch module, or an `mrt.Graph`.
        data: what to calibrate on: an array, a dict of arrays by input, an `(array, labels)` pair, anything that yields
            arrays or (array, label) pairs such as a Gluon DataLoader, or a dataset of `mrt.datasets`. Samples are as
            the network takes them; integer inputs, such as indices, are taken as they are.
        input_shape: the input's shape with -1 for the batch axis, or a dict of them by name; by default as the data has
            it, batch first.
        preprocess: what makes the network's input of the bytes (uint8) of pictures, where the data is these: mean, std
            and scale. The integer network then takes the bytes as they are.
        recipe: its switches, and the sections that compress.
        train: what these train on: an `(array, labels)` pair, with a dict of arrays by input where there are several,
            or a dataset, which `data` may be as well.
        progress: shows the stages; by default nothing is shown.

    Raises:
        MRTError: the network or the data cannot be used, in one line.
    """
    instruction_set.hold()
    recipe = recipe or Recipe()
    batch, number = recipe.calibration.batch, recipe.calibration.calibrate_num
    dataset = data if isinstance(data, Dataset) else None
    most = number * batch if number else None
    if dataset:
        size = dataset.size("calibration")
        data = dataset.batches("calibration", batch, 0, min(most or size, size))
    if isinstance(net, Graph):
        input_shape = net.inputs
    elif input_shape is None:
        input_shape, data = shapes_of(data)
    network = read_network(net, input_shape)
    samples = Given(data, network.inputs, batch, most, preprocess, dataset.pixels if dataset else None)
    progress = progress or Progress(Console(quiet=True))
    with tempfile.TemporaryDirectory() as folder:
        training = _training(recipe, dataset if train is None else train, network.inputs, Path(folder))
        compressing = compressing_stages(recipe, training, lambda start, saved: None)
        wanted: list[Product[Any]] = [NETWORK, COMPRESSION]
        loaded = run_stages([LoadGiven(network), *compressing], wanted, progress)
        network = loaded[NETWORK]
        stages = [*recipe_stages(recipe, samples, training=training), *compiling_stages(recipe.quantization)]
        have = run_stages(stages, [PREPARED, QUANTIZED, COMPILED], progress, given={BASE: network})
    made = have[PREPARED], have[QUANTIZED], have[COMPILED]
    steps: list[CompressionStep] = loaded[COMPRESSION]
    return IntegerModel(network, *made, samples, dataset, steps, recipe.sharing is not None, preprocess)


def _training(recipe: Recipe, given: Any, inputs: InputShape, folder: Path) -> Training:
    """What the recipe's sections train on, if one does.

    Raises:
        MRTError: a section trains, and there is nothing to train on.
    """
    if isinstance(given, tuple) and len(given) == 2:
        given = Memory(*given, inputs)
    if recipe.trains and not isinstance(given, Dataset):
        raise MRTError(f"{recipe.trains.lower()} trains: give train=(array, labels), or a dataset")
    return Training(lambda section: given, lambda: None, folder, _NAME, inputs, Finetune(dataset=GIVEN))


class IntegerModel:
    """A network in integers, compiled, with the float network that it came from; `quantize` makes it.

    Attributes:
        network: the float network, as compressed.
        prepared: the same in few operators.
        quantized: the integer graph and what its integers mean.
        compression: what the network costs as given and after each step that compressed it.
    """

    def __init__(
        self,
        network: Graph,
        prepared: Graph,
        quantized: Quantized,
        compiled: Compiled | None,
        samples: Given,
        dataset: Dataset | None = None,
        compression: Sequence[CompressionStep] = (),
        coded: bool = False,
        preprocess: Preprocess | None = None,
    ) -> None:
        """`samples` are what it was calibrated on, of `dataset` where that is known; `coded` saves params.huf, too.

        `preprocess` is as `quantize` has it.
        """
        self.network = network
        self.prepared = prepared
        self.quantized = quantized
        self._compiled = compiled
        self._samples = samples
        self._dataset = dataset
        self.compression = tuple(compression)
        self._coded = coded
        self._preprocess = preprocess

    @property
    def cvm(self) -> cvm.Model:
        """The compiled model, as the target's own format has it."""
        return self._model.model

    @property
    def certificate(self) -> Certificate:
        """The proof that no INT32 can overflow."""
        return self._model.certificate

    def __call__(self, feed: Feed) -> Outputs:
        """The real outputs for a batch of real inputs, computed by the compiled integers on the native runtime.

        Args:
            feed: an array, or a dict of arrays by input, as the float network takes them; or the bytes (uint8) of
                pictures, where these make its input.

        Returns:
            An array, or a tuple of one per output.
        """
        outputs = tuple(self.quantized.real(self._run(self.quantized.integers(feed))))
        return outputs[0] if len(outputs) == 1 else outputs

    def sqnr(self, feed: Feed) -> float | tuple[float, ...]:
        """Signal to quantization noise on a batch in dB, 10 log10(sum float^2 / sum (float - integer)^2), by output."""
        if any(info.classes for info in self.quantized.outputs):
            raise MRTError("output=argmax: class numbers have no noise; see the agreement that evaluate() finds")
        report = self.evaluate(feed, metric=None)
        ratios = tuple(float("inf") if ratio is None else ratio for ratio in report.sqnr_outputs_db)
        return ratios[0] if len(ratios) == 1 else ratios

    def evaluate(self, data: Any, metric: str | Callable[[], Any] | None = "auto", twin: int = _TWIN) -> Report:
        """Float network and compiled model on the same data.

        Args:
            data: as `quantize` takes it, with labels where there is a metric; of a dataset, its evaluation pictures.
            metric: "top1", "top5", "mIoU", what makes a metric of your own, None, or "auto": a dataset's own; else
                top-1 and top-5 where there are labels and the network's first output is class scores.
            twin: on how many of the first samples every integer is compared with the same graph on MXNet.

        Raises:
            MRTError: the data does not suit the network, or the metric not its outputs.
        """
        if isinstance(data, Dataset):
            metric = data.metric if metric == "auto" and data.labelled else metric
            data = data.batches("evaluation", self._samples.batch)
        given = self._given(data)
        reference = Executor(self.network)
        report = Report(model=_NAME)
        evaluate(
            _metric(metric, given, reference),
            given.labelled(given.calibrated),
            Samples(self.network.inputs),
            lambda batch: self.quantized.meant(reference(batch)),
            {"cvm": self._run, "quantized": Executor(self.quantized.graph, dtype="float64")},
            self.quantized.integers,
            self.quantized.real,
            report,
            lambda count: None,
            twin,
        )
        return report

    def sensitivity(self, data: Any, pictures: int = _PICTURES) -> Sensitivity:
        """What quantizing each operator costs, and why, on up to `pictures` samples of the data."""
        given = self._given(data, pictures)
        found = measure(self.prepared, self.quantized, given.labelled(given.calibrated), None)
        return Sensitivity(
            model=_NAME,
            dataset="given",
            pictures=found.pictures,
            quantized=found.quantized,
            operators=found.operators,
        )

    def save(self, folder: str | Path) -> Path:
        """Write the compiled model's folder, which `cvm.load` reads: model, proof, meaning of its integers, a sample.

        Raises:
            CVMError: it cannot be written; what was there stays.
        """
        write_model(Path(folder), self._model, self.quantized, self._samples, self._dataset, self._coded)
        return Path(folder)

    def _given(self, data: Any, most: int | None = None) -> Given:
        return Given(data, self.network.inputs, self._samples.batch, most, self._preprocess)

    @property
    def _model(self) -> Compiled:
        if self._compiled is None:
            raise MRTError("restore_name left operators in float: there is no compiled model")
        return self._compiled

    @cached_property
    def _run(self) -> Run:
        """The compiled model on the native runtime, or where that is not built, on its specification."""
        with tempfile.TemporaryDirectory() as folder:
            native = native_run(self.save(folder))
        return any_batch(native or formal_run(self._model, self.quantized), self._model, self.quantized)


def _metric(wanted: str | Callable[[], Any] | None, given: Given, network: Run) -> Callable[[], Metric] | None:
    """What makes the metric that is asked for; None where there is none.

    Raises:
        MRTError: there is no such metric, or it does not suit the network's outputs.
    """
    if wanted is None or (wanted == BY_DATASET and not given.labelled_too):
        return None
    if callable(wanted):
        make: Callable[[], Metric] | None = wanted if _makes_metric(wanted) else lambda: OwnMetric("metric", wanted)
    else:
        make = partial(TopK, (1, 5)) if wanted == BY_DATASET else named_metric(wanted)
    if make is None:
        raise MRTError(f"metric={wanted}: must be auto, top1, top5, mIoU, module:Class, None, or what makes a metric")
    first = islice(given.labelled(given.calibrated), 1)
    return tried(
        make, None if wanted == BY_DATASET else getattr(wanted, "__name__", str(wanted)), first, network
    ).metric


def _makes_metric(make: Callable[[], Any]) -> bool:
    return isinstance(make(), Metric)
