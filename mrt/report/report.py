"""The report of a run: what was measured, as JSON and as a row of MRT's published table."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field
from tabulate import tabulate

from mrt.atomic import atomic_write
from mrt.report.compression import CompressionStep, SharedWeights, TrainedIntegers
from mrt.report.compression import markdown as compression_markdown
from mrt.report.details import Example, Fused, LayerNoise, Spread
from mrt.report.precision import PrecisionGain

__all__ = ["BitExact", "LayerCost", "OfEach", "Report", "SizeBytes", "Used"]

COLUMNS = ("model name", "iteration", "evalfunc", "quantize", "time(ms)", "cvm", "total sample")
STRUCTURAL_COLUMNS = (*COLUMNS[:2], "weights", "agreement with float", "SQNR (dB)", *COLUMNS[4:5], *COLUMNS[6:])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())


class BitExact(_Part):
    """How many samples two independent integer executors computed, and on how many of them they differed."""

    samples: int
    mismatches: int

    def __add__(self, other: "Optional[BitExact]") -> "BitExact":
        """Both counts together."""
        if other is None:
            return self
        return BitExact(samples=self.samples + other.samples, mismatches=self.mismatches + other.mismatches)


class OfEach(_Part):
    """A number of the float network, the integer graph and the compiled model; None where not measured."""

    float_: Optional[float] = Field(default=None, alias="float")
    quantized: Optional[float] = None
    cvm: Optional[float] = None


class Used(_Part):
    """Which pictures were used: `samples` of the `available` ones of a split, by the dataset's own name for it."""

    dataset: str
    split: str
    samples: int
    available: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.samples:,} of {self.available:,} pictures of split {self.split} of {self.dataset}"


class SizeBytes(_Part):
    """Bytes of the parameters on disk."""

    float_: Optional[int] = Field(default=None, alias="float")
    cvm: Optional[int] = None


class LayerCost(_Part):
    """What one layer of the prepared network adds to the quantization noise.

    Attributes:
        node: of the prepared network.
        operator: its MXNet name.
        sqnr_db: signal to quantization noise of its output.
        added: its noise-to-signal ratio less the largest among its inputs'.
    """

    node: str
    operator: str
    sqnr_db: float
    added: float


class Report(_Part):
    """What a run found out. A part that the run did not come to is empty or None.

    Attributes:
        report_version: of the report's form; reports without it are of form 1, which lacks some parts.
        weights: "trained", or "random": a structural run, which shows agreement with the float network but no accuracy.
        samples: evaluated samples; `iterations`, the batches they came in.
        calibrated: which pictures it was calibrated on; None where that was done before.
        evaluated: which pictures it was evaluated on.
        accuracy: of "float", "quantized" and "cvm", the metric's values by name.
        percent: whether the metrics are parts of a whole, from 0 to 1, or have a unit of their own.
        no_accuracy: why there is no accuracy, where the network's outputs do not suit the metric.
        agreement: part of the samples, 0 to 1, on which the integer model's top-1 class is the float model's; part of
            the pixels, if `agreement_per_pixel`.
        agreement_map_iou: of maps of classes, the mean intersection over union of the integer model's with the float
            network's.
        intervals: the 95 % intervals of the integer model's metric values, where the metric knows them;
            `loss_intervals`, those of what the integers lose of the float network's.
        sqnr_db: signal to quantization noise of the first output, 10·log10(Σ float² / Σ (float - dequantized)²).
        sqnr_outputs_db: the same of every output.
        costly_layers: of a structural run, or where the outputs are poor: those that add most noise, the worst first.
        layers: what each stored tensor of the prepared network loses; empty after a run that was resumed.
        fused: what of the network became one operator.
        spreads: values and integer ranges of the inputs and of the tensors that lose most.
        examples: some pictures of the evaluation with what both networks say of them.
        precision: of a run with Precision=auto, which layers were given more bits, and what that gained.
        bit_exact: our two integer executors against each other, on the first [EVALUATION] Twin_num samples.
        latency_ms: milliseconds of one sample alone.
        throughput: samples per second, in batches of [EVALUATION] Batch.
        compression: the float network as loaded and after each step that compressed it; empty where none did.
        qat: what training the integer network gained; None where that was not done, or before.
        sharing: what weights that share values take; None where they do not, or did before.
        seconds: of each stage, by name.
        versions: of the packages used, by name.
        configuration: as in `Config.as_dict`.
        certificate: summary of the proof that no INT32 can overflow.
        cpu_seconds: processor time of the whole process, all threads together, where it did nothing else.
        model_dir: the folder of the compiled model, where it is kept.
        peak_memory_bytes: the largest resident size of the process, where it did nothing else.
    """

    report_version: Literal[2] = 2
    model: str
    dataset: Optional[str] = None
    weights: Literal["trained", "random"] = "trained"
    samples: int = 0
    iterations: int = 0
    calibrated: Optional[Used] = None
    evaluated: Optional[Used] = None
    accuracy: dict[str, dict[str, float]] = {}
    percent: bool = True
    no_accuracy: Optional[str] = None
    agreement: Optional[float] = None
    agreement_per_pixel: bool = False
    agreement_map_iou: Optional[float] = None
    intervals: dict[str, tuple[float, float]] = {}
    loss_intervals: dict[str, tuple[float, float]] = {}
    sqnr_db: Optional[float] = None
    sqnr_outputs_db: list[Optional[float]] = []
    costly_layers: list[LayerCost] = []
    layers: list[LayerNoise] = []
    fused: list[Fused] = []
    spreads: list[Spread] = []
    examples: list[Example] = []
    precision: Optional[PrecisionGain] = None
    bit_exact: Optional[BitExact] = None
    latency_ms: OfEach = OfEach()
    throughput: OfEach = OfEach()
    size_bytes: SizeBytes = SizeBytes()
    compression: list[CompressionStep] = []
    qat: Optional[TrainedIntegers] = None
    sharing: Optional[SharedWeights] = None
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    configuration: dict[str, Any] = {}
    certificate: dict[str, Any] = {}
    cpu_seconds: Optional[float] = None
    model_dir: Optional[str] = None
    peak_memory_bytes: Optional[int] = None

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON types; a number that is not finite is None."""
        plain: dict[str, Any] = _finite(self.model_dump(mode="python", by_alias=True))
        return plain

    def json_text(self) -> str:
        """Return the report as indented JSON."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    def calibrated_on(self) -> str:
        """Which pictures were calibrated on, in words, next to those evaluated on."""
        one, other = self.calibrated, self.evaluated
        if one and other and (one.dataset, one.split) == (other.dataset, other.split):
            return f"{one.samples:,} others of it"
        return str(one)

    def agreement_text(self) -> str:
        """The agreement in words; of maps of classes, their overlap too. Empty where it is not known."""
        if self.agreement is None:
            return ""
        overlap = "" if self.agreement_map_iou is None else f", {self.agreement_map_iou:.2%} mIoU with the float map"
        return f"{self.agreement:.2%} of the {'pixels' if self.agreement_per_pixel else 'samples'}{overlap}"

    def markdown(self) -> str:
        """Return the report as a Markdown table with the columns of MRT's published results.

        A structural run has columns of its own, and a second table of the layers that add most noise. A run with
        Precision=auto adds the layers that were given more bits. Notes say which pictures were used.
        """
        notes = "".join(f"- {line}\n" for line in self._notes())
        steps = compression_markdown(self.compression, self.accuracy.get("cvm", {})) if self.compression else ""
        return "\n".join(
            filter(
                None,
                [
                    self._row_markdown(),
                    notes,
                    steps,
                    self.qat.markdown() if self.qat else "",
                    self.sharing.markdown(self.size_bytes.float_) if self.sharing else "",
                    self.precision.markdown() if self.precision else "",
                ],
            )
        )

    def _notes(self) -> Iterator[str]:
        """What the table leaves open."""
        if self.evaluated:
            calibrated = f", calibrated on {self.calibrated_on()}" if self.calibrated else ""
            yield f"evaluated on {self.evaluated}{calibrated}"
        if self.no_accuracy:
            yield f"no accuracy: {self.no_accuracy}"
        if self.agreement is not None and self.agreement_per_pixel:
            yield f"agreement with float: {self.agreement_text()}"
        if self.bit_exact and self.bit_exact.samples < self.samples:
            same = "the same integers" if not self.bit_exact.mismatches else f"{self.bit_exact.mismatches} differences"
            yield f"integer graph and compiled model compared on the first {self.bit_exact.samples:,} pictures: {same}"
        speeds = self.throughput.model_dump(by_alias=True, exclude_none=True)
        said = [f"{name} {speed:,.0f}" for name, speed in speeds.items()]
        if said:
            yield f"pictures per second, in batches: {', '.join(said)}"

    def _row_markdown(self) -> str:
        if self.weights == "random":
            return self._structural_markdown()
        return tabulate([self.table_row()], headers=COLUMNS, tablefmt="github", disable_numparse=True) + "\n"

    def table_row(self) -> tuple[str, ...]:
        """Its cells under `COLUMNS`."""
        return (
            self.model,
            str(self.iterations),
            self._metrics("float"),
            self._metrics("quantized"),
            " / ".join(_milliseconds(part) for part in (self.latency_ms.float_, self.latency_ms.quantized)),
            " ".join(part for part in (self._metrics("cvm"), _milliseconds(self.latency_ms.cvm)) if part != "-") or "-",
            str(self.samples),
        )

    def _metrics(self, name: str) -> str:
        """`top1=92.88% top5=99.78%`, MRT's form."""
        form = ".2%" if self.percent else ".4g"
        values = self.accuracy.get(name, {})
        return " ".join(f"{key}={v:{form}}" if math.isfinite(v) else f"{key}=-" for key, v in values.items()) or "-"

    def _structural_markdown(self) -> str:
        row = (
            self.model,
            self.iterations,
            "random",
            "-" if self.agreement is None else f"{self.agreement:.2%}",
            " ".join("-" if value is None else f"{value:.1f}" for value in self.sqnr_outputs_db) or "-",
            " / ".join(_milliseconds(part) for part in (self.latency_ms.float_, self.latency_ms.cvm)),
            self.samples,
        )
        text = tabulate([row], headers=STRUCTURAL_COLUMNS, tablefmt="github", disable_numparse=True) + "\n"
        if self.costly_layers:
            rows = [(c.node, c.operator, f"{c.sqnr_db:.1f}", f"{c.added:.2e}") for c in self.costly_layers]
            headers = ("costliest layers", "operator", "SQNR (dB)", "noise added")
            text += "\n" + tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True) + "\n"
        return text

    def write(self, folder: Path, name: Optional[str] = None) -> tuple[Path, Path]:
        """Write `<folder>/<name>.report.json` and `.report.md`, each whole or not at all; return their paths.

        `name` is the model's where not given.
        """
        name = name or self.model
        return (
            atomic_write(folder / f"{name}.report.json", self.json_text()),
            atomic_write(folder / f"{name}.report.md", self.markdown()),
        )


def _finite(value: Any) -> Any:
    """Return `value` with plain keys and numbers, and None for NaN and infinities (JSON has no word for them)."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return _finite(value.item())
    return str(value)


def _milliseconds(value: Optional[float]) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g} ms"
