"""The stages of [QAT]: fewer bits than 8, and training of the integer network."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from mrt.calibrate.gather import constant_layers
from mrt.compress.trainable import layers_of
from mrt.config.compression import QatSection
from mrt.errors import MRTError
from mrt.graph import Graph
from mrt.integer.form import ExtraBits
from mrt.quantizer.cheap import cheap_layers, small_layers
from mrt.report import Progress
from mrt.report.compression import TrainedIntegers
from mrt.run.products import PRECISION, PREPARED, QUANTIZED, SETTINGS, TRAINED
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.run.train_integers import IntegerTrainer


class FewBits(Stage):
    """Says which layers take fewer than 8 bits: all but the first and the last, or those named."""

    takes = (PREPARED, SETTINGS)
    gives = (SETTINGS,)

    def __init__(self, section: QatSection) -> None:
        """See [QAT] Bits and Layer_bits."""
        self._section = section

    def run(self, have: Products, progress: Progress) -> Made:
        """The settings of the quantizer, with the bits."""
        settings = have[SETTINGS]
        bits = bits_of(have[PREPARED], self._section)
        raised, cheap = small_layers(have[PREPARED]), cheap_layers(have[PREPARED])
        extra = ExtraBits(
            settings.extra.inputs - (raised.inputs - cheap.inputs), settings.extra.weights - raised.weights
        )  # of layers that are hardly any work, few bits are asked all the same
        kept = {name: count for name, count in bits.items() if name not in extra.inputs}
        return {SETTINGS: replace(settings, extra=extra, bits=kept)}


def bits_of(prepared: Graph, section: QatSection | None) -> dict[str, int]:
    """The layers of fewer than 8 bits, by name; none without a section.

    Raises:
        MRTError: Layer_bits names a layer that there is not.
    """
    if section is None:
        return {}
    names = [layer.name for layer in constant_layers(prepared)]
    found = dict.fromkeys(names[1:-1], section.bits)
    for pattern, bits in section.layer_bits.items():
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            raise MRTError(f"the prepared network has no layer {pattern}", switch="qat.layer_bits")
        found.update(dict.fromkeys(fitting, bits))
    return {name: bits for name, bits in found.items() if bits < 8}


class Qat(Stage):
    """Trains the integer network; what comes of it is never worse on the held-out pictures than what went in."""

    takes = (PREPARED, QUANTIZED, PRECISION)
    gives = (QUANTIZED, PRECISION, TRAINED)

    def __init__(self, section: QatSection, trainer: IntegerTrainer, checkpoint: Checkpoint | None) -> None:
        """`trainer` knows how; None for `checkpoint` where a later stage keeps what it makes of the network."""
        self._section, self._trainer = section, trainer
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The trained integer network."""
        section = self._section
        layers = layers_of(have[QUANTIZED], bits_of(have[PREPARED], section))
        training = self._trainer(have[QUANTIZED], layers, "qat", progress)
        training.checkpoint.drop()
        gained = TrainedIntegers(
            bits=section.bits,
            layers=len(layers),
            pictures=section.held_out,
            before=training.before,
            after=training.after,
            epochs=list(training.epochs),
        )
        return {QUANTIZED: training.quantized, PRECISION: have[PRECISION], TRAINED: gained}
