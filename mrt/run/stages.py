"""The lists of stages that runs are made of, each with its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mrt.config import Config, Start
from mrt.config.compression import Finetune
from mrt.datasets import Dataset
from mrt.executors import instruction_set
from mrt.recipe import Recipe
from mrt.run.calibrate import Calibrate, GatherMoments
from mrt.run.checkpoints import Checkpoints
from mrt.run.compile import Write, compiling_stages
from mrt.run.compress import Begin, Measurer
from mrt.run.finetune import Trainer, Tune
from mrt.run.load import Cut
from mrt.run.origin import Origin
from mrt.run.parts import Merge, Parts
from mrt.run.pictures import Pictures
from mrt.run.prepare import Prepare
from mrt.run.prune import Prune
from mrt.run.qat import FewBits, Qat
from mrt.run.quantize import Quantize, Settle
from mrt.run.sample_source import SampleSource
from mrt.run.sharing import Share
from mrt.run.stage import Checkpoint, Stage
from mrt.run.train_integers import IntegerTrainer
from mrt.run.training_data import Training


def hold_instructions(config: Config) -> None:
    """Make the floats of a run the same on any processor, but where it trains: that takes hours, and differs anyway."""
    if not config.compressing:
        instruction_set.hold()


def compressing_stages(
    recipe: Recipe, training: Training, checkpoint: Callable[[Start, Callable[[], None]], Checkpoint | None]
) -> list[Stage]:
    """The stages that a recipe asks for, in the order in which its sections stand.

    `checkpoint(start, saved)` makes one, which calls `saved` after it is written.
    """
    measure = Measurer(training)
    stages: list[Stage] = [Begin(measure, skipped=not recipe.compressing)]
    for start in recipe.compressing:
        settings = recipe.finetune or training.otherwise
        trainer = Trainer(settings, recipe.distillation, training)
        kept = checkpoint(start, trainer.drop)
        if start is Start.PRUNING and recipe.pruning is not None:
            cache = training.folder / f"{training.name}.pruning.sensitivity.json"
            stages.append(Prune(recipe.pruning, trainer, measure, kept, cache))
        elif start is Start.FINETUNE:
            stages.append(Tune(trainer, measure, kept))
    return stages


def recipe_stages(
    recipe: Recipe,
    samples: SampleSource,
    prepared: Checkpoint | None = None,
    calibrated: Checkpoint | None = None,
    quantized: Checkpoint | None = None,
    training: Training | None = None,
) -> list[Stage]:
    """The recipe: from the float network to the integer one. There is no other way to quantize a network.

    Args:
        recipe: its switches.
        samples: what to calibrate on.
        prepared, calibrated, quantized: where these stages leave their results; the last of them, after the integers
            were trained.
        training: what integers are trained on, where the recipe says so; None leaves these sections out.
    """
    qat, sharing = (recipe.qat, recipe.sharing) if training else (None, None)
    stages: list[Stage] = [
        Prepare(recipe.prepare, samples, prepared),
        Calibrate(recipe.calibration, samples, calibrated),
        GatherMoments(recipe.calibration, recipe.quantization, samples),
        Settle(recipe, samples),
    ]
    if qat is not None:
        stages.append(FewBits(qat))
    stages.append(Quantize(recipe, samples, None if qat or sharing else quantized))
    if training and qat:
        stages.append(Qat(qat, IntegerTrainer(qat, training), None if sharing else quantized))
    if training and sharing:
        stages.append(Share(sharing, qat, IntegerTrainer(sharing, training), quantized))
    return stages


def configured_stages(config: Config, pictures: Pictures) -> list[Stage]:
    """From the loaded network to the integer one, cut and checkpointed as a configuration says."""
    checkpoints = checkpoints_of(config, pictures)
    order = config.compressing

    def compressed(start: Start, saved: Callable[[], None]) -> Checkpoint:
        dump: bool = getattr(config, start.name.lower()).dump
        return checkpoints.compressed(order[order.index(start) :], dump, saved)

    recipe, training = Recipe.from_config(config), _training(config, pictures)
    return [
        *compressing_stages(recipe, training, compressed),
        Cut(config),
        *recipe_stages(
            recipe,
            pictures,
            checkpoints.prepared(config.prepare.dump),
            checkpoints.calibrated(config.calibration.dump),
            checkpoints.quantized(config.quantization.dump),
            training,
        ),
        Parts(config, checkpoints),
        Merge(config, checkpoints.merged(config.merge_model.dump) if config.split_model.keys else None),
    ]


def _training(config: Config, pictures: Pictures) -> Training:
    """What a configuration trains on and judges by."""
    default, calibration, evaluation = config.default, config.calibration, config.evaluation

    def judged() -> tuple[Dataset, int, int, int] | None:
        if evaluation is None or evaluation.iter_num == 0:
            return None
        return (*pictures.compared(), evaluation.batch)

    otherwise = Finetune(dataset=calibration.dataset, dataset_dir=calibration.dataset_dir)
    return Training(pictures.of, judged, default.output_dir, default.model_name, default.input_shape, otherwise)


def compiled_stages(config: Config, pictures: Pictures, folder: Path) -> list[Stage]:
    """From the integer network to the compiled model in a folder."""
    batch = config.compilation.batch if config.compilation else 1
    return [
        *compiling_stages(Recipe.from_config(config).quantization, batch),
        Write(folder, pictures, lambda: pictures.calibration, coded=config.sharing is not None),
    ]


def checkpoints_of(config: Config, pictures: Pictures) -> Checkpoints:
    """Where a configuration's runs leave and find their results."""
    return Checkpoints(config.default.output_dir, config.default.model_name, Origin(config, pictures))
