"""What the stages of a run give each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mrt.calibrate.coverage import Coverage
from mrt.graph import Graph
from mrt.quantizer.quantize import Quantized, QuantizeSettings
from mrt.report import BitExact, LayerCost, Report
from mrt.report.compression import CompressionStep, SharedWeights, TrainedIntegers
from mrt.report.details import Fused, Spread
from mrt.report.precision import PrecisionGain
from mrt.run.judge import Judge
from mrt.run.split import Split
from mrt.run.stage import Product
from mrt.statistics.moments import Moments
from mrt.statistics.tensor import Statistics
from mrt.targets.cvm.compiler import Compiled

NETWORK: Product[Graph] = Product("the float network")
COMPRESSION: Product[list[CompressionStep]] = Product("the steps of compression")
CUT: Product[Split | None] = Product("where the network is cut")
BASE: Product[Graph] = Product("what of the network becomes integers")
FLOAT_BYTES: Product[int] = Product("bytes of the float network's parameters")
PREPARED: Product[Graph] = Product("the prepared network")
STATISTICS: Product[Mapping[str, Statistics]] = Product("calibration statistics")
MOMENTS: Product[Mapping[str, Moments]] = Product("input moments of the layers")
SETTINGS: Product[QuantizeSettings] = Product("how to quantize")
RIVAL: Product[Coverage | None] = Product("the calibrators that the chosen ones have to beat")
QUANTIZED: Product[Quantized] = Product("the integer network")
PRECISION: Product[PrecisionGain | None] = Product("what extra bits gained")
TRAINED: Product[TrainedIntegers | None] = Product("what training the integers gained")
SHARED: Product[SharedWeights | None] = Product("what shared values gained")
JUDGE: Product[Judge] = Product("what judges the outputs")
PARTS: Product[bool] = Product("whether the network has a float top")
MERGED: Product[Graph | None] = Product("the integer base with its float top")
COMPILED: Product[Compiled | None] = Product("the compiled model")
FOLDER: Product[Path | None] = Product("where the compiled model lies")
EVALUATED: Product[Report] = Product("the evaluation")
FUSED: Product[list[Fused]] = Product("what was fused")
COSTS: Product[list[LayerCost]] = Product("what each layer loses")
SPREADS: Product[list[Spread]] = Product("values and ranges of some tensors")
SAME: Product[BitExact | None] = Product("whether two integer executors agree")
