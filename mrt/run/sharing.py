"""The stage of [SHARING]: an integer network of few weights, of few values."""

from __future__ import annotations

from mrt.compress.sharing import shared, thinned
from mrt.compress.trainable import Constants, layers_of
from mrt.config.compression import QatSection, Sharing
from mrt.graph import Array
from mrt.quantizer.quantize import Quantized
from mrt.report import Progress
from mrt.report.compression import SharedWeights
from mrt.run.products import PRECISION, PREPARED, QUANTIZED, SHARED
from mrt.run.qat import bits_of
from mrt.run.stage import Checkpoint, Made, Products, Stage
from mrt.run.train_integers import IntegerTrainer

_GAP_BITS = 4  # of the place of a weight, in Han's table: how many zeros are before it


class Share(Stage):
    """Takes weights away and trains the others, then lets the others share values and trains those.

    The values of a layer's weights are its integers: what shares a value in float would not where channels have steps
    of their own.
    """

    takes = (PREPARED, QUANTIZED, PRECISION)
    gives = (QUANTIZED, PRECISION, SHARED)

    def __init__(
        self, section: Sharing, qat: QatSection | None, trainer: IntegerTrainer, checkpoint: Checkpoint | None
    ) -> None:
        """`qat` says which layers have fewer bits; `trainer` knows how to train."""
        self._section, self._qat, self._trainer = section, qat, trainer
        self.checkpoint = checkpoint

    def run(self, have: Products, progress: Progress) -> Made:
        """The integer network whose weights share values."""
        section, quantized = self._section, have[QUANTIZED]
        layers = layers_of(quantized, bits_of(have[PREPARED], self._qat))
        before = self._trainer.accuracy(quantized)
        checkpoints = []
        if section.density < 1:
            layers = thinned(layers, quantized.graph.params, section.density)
            thin = self._trainer(quantized, layers, "pruning weights", progress)
            quantized, pruned = thin.quantized, thin.after
            checkpoints.append(thin.checkpoint)
        else:
            pruned = before
        layers = shared(layers, quantized.graph.params, section.bits)
        training = self._trainer(quantized, layers, "sharing", progress)
        for checkpoint in (*checkpoints, training.checkpoint):
            checkpoint.drop()
        count, left, others = _sizes(training.quantized, layers)
        gap = _GAP_BITS if section.density < 1 else 0
        gained = SharedWeights(
            bits=section.bits,
            layers=len(layers),
            pictures=section.held_out,
            before=before,
            pruned=pruned,
            after=training.after,
            density=left / count,
            pruned_bytes=others + left * (32 + gap) // 8,
            shared_bytes=others + 4 * len(layers) * 2**section.bits + left * (section.bits + gap) // 8,
        )
        return {QUANTIZED: training.quantized, PRECISION: have[PRECISION], SHARED: gained}


def _sizes(quantized: Quantized, layers: list[Constants]) -> tuple[int, int, int]:
    """How many weights the layers have, how many of them are not 0, and how many bytes all other parameters take."""
    weights: list[Array] = [quantized.graph.params[layer.weight] for layer in layers]
    others = sum(array.nbytes for array in quantized.graph.params.values()) - sum(w.nbytes for w in weights)
    return sum(w.size for w in weights), sum(int((w != 0).sum()) for w in weights), others
