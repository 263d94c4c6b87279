"""The lists of stages that runs are made of, each with its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mrt.config import Config
from mrt.config import Stage as Start
from mrt.recipe import Recipe
from mrt.run.calibrate import Calibrate, Moments
from mrt.run.checkpoints import Checkpoints
from mrt.run.compile import Compile, Write
from mrt.run.compress import compressing_stages
from mrt.run.load import Cut
from mrt.run.origin import Origin
from mrt.run.parts import Merge, Parts
from mrt.run.pictures import Pictures
from mrt.run.prepare import Prepare
from mrt.run.qat import FewBits, Qat
from mrt.run.quantize import Quantize, Settle
from mrt.run.sample_source import SampleSource
from mrt.run.sharing import Share
from mrt.run.stage import Checkpoint, Stage
from mrt.run.train_integers import IntegerTrainer


def recipe_stages(
    recipe: Recipe,
    samples: SampleSource,
    prepared: Checkpoint | None = None,
    calibrated: Checkpoint | None = None,
    quantized: Checkpoint | None = None,
) -> list[Stage]:
    """The recipe: from the float network to the integer one. There is no other way to quantize a network.

    Args:
        recipe: its switches.
        samples: what to calibrate on.
        prepared, calibrated, quantized: where these stages leave their results.
    """
    return [
        Prepare(recipe.prepare, samples, prepared),
        Calibrate(recipe.calibration, samples, calibrated),
        Moments(recipe.calibration, recipe.quantization, samples),
        Settle(recipe, samples),
        Quantize(recipe, samples, quantized),
    ]


def _training_integers(config: Config, pictures: Pictures, stages: list[Stage], quantized: Checkpoint) -> list[Stage]:
    """The recipe's stages with those of [QAT] and [SHARING], after which the integer network is kept, not before."""
    *before, quantize = stages
    folder, model = config.default.output_dir, config.default.model_name
    if config.qat is not None:
        trainer = IntegerTrainer(config.qat, pictures, folder, model)
        last = quantized if config.sharing is None else None
        before, quantize = [*before, FewBits(config.qat), quantize], Qat(config.qat, trainer, last)
    if config.sharing is not None:
        trainer = IntegerTrainer(config.sharing, pictures, folder, model)
        before, quantize = [*before, quantize], Share(config.sharing, config.qat, trainer, quantized)
    return [*before, quantize]


def configured_stages(config: Config, pictures: Pictures) -> list[Stage]:
    """From the loaded network to the integer one, cut and checkpointed as a configuration says."""
    checkpoints = checkpoints_of(config, pictures)
    order = config.compressing

    def compressed(start: Start, saved: Callable[[], None]) -> Checkpoint:
        dump: bool = getattr(config, start.name.lower()).dump
        return checkpoints.compressed(order[order.index(start) :], dump, saved)

    quantized = checkpoints.quantized(config.quantization.dump)
    recipe = recipe_stages(
        Recipe.from_config(config),
        pictures,
        checkpoints.prepared(config.prepare.dump),
        checkpoints.calibrated(config.calibration.dump),
        quantized if config.qat is None and config.sharing is None else None,
    )
    return [
        *compressing_stages(config, pictures, compressed),
        Cut(config),
        *_training_integers(config, pictures, recipe, quantized),
        Parts(config, checkpoints),
        Merge(config, checkpoints.merged(config.merge_model.dump) if config.split_model.keys else None),
    ]


def compiled_stages(config: Config, pictures: Pictures, folder: Path) -> list[Stage]:
    """From the integer network to the compiled model in a folder."""
    batch = config.compilation.batch if config.compilation else 1
    return [
        Compile(Recipe.from_config(config).quantization, batch),
        Write(folder, pictures, lambda: pictures.calibration, coded=config.sharing is not None),
    ]


def checkpoints_of(config: Config, pictures: Pictures) -> Checkpoints:
    """Where a configuration's runs leave and find their results."""
    return Checkpoints(config.default.output_dir, config.default.model_name, Origin(config, pictures))
