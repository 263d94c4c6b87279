"""What `mrt ablate` does: the compiled network with one switch of quantization changed at a time."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from mrt.analysis.ablation import FloatOutputs, variants
from mrt.config import Config
from mrt.errors import MRTError, Remedy
from mrt.executors.device import context
from mrt.executors.mxnet import Executor
from mrt.recipe import Recipe
from mrt.report import Progress
from mrt.report.ablation import Ablation, Outcome
from mrt.run.evaluation import Evaluate, FindJudge
from mrt.run.load import Cut, Load
from mrt.run.pictures import Pictures
from mrt.run.products import BASE, CUT, EVALUATED, JUDGE, MOMENTS, NETWORK, PREPARED, STATISTICS
from mrt.run.stage import Product, run_stages
from mrt.run.stages import compiled_stages, recipe_stages

logger = logging.getLogger(__name__)

_SHARED: tuple[Product[Any], ...] = (PREPARED, STATISTICS, MOMENTS)
"""Of what variants change, these depend on [PREPARE] alone."""


def ablation(config: Config, progress: Progress, quick: bool = False) -> Ablation:
    """Measure what each switch of quantization gains.

    Args:
        config: what to quantize, and how.
        progress: shows it.
        quick: leave out what takes minutes.

    Raises:
        MRTError: bad input, named.
    """
    settings = config.evaluation
    if settings is None or settings.iter_num == 0:
        raise MRTError("an ablation compares on pictures to evaluate on, and there are none", Remedy.EVALUATION)
    if config.quantization.restore_name:
        raise MRTError("what is left in float does not compile", Remedy.NOTHING_RESTORED, "quantization.restore_name")
    pictures = Pictures(config)
    wanted: list[Product[Any]] = [NETWORK, CUT, BASE, JUDGE]
    loaded = run_stages([Load(config), FindJudge(config, pictures), Cut(config)], wanted, progress)
    judge = loaded[JUDGE]
    if judge.metric is None:
        raise MRTError(f"an ablation compares by a metric: {judge.reason or 'there is none'}", Remedy.EVALUATION)
    network = {product: loaded[product] for product in wanted}
    dataset, start, count = pictures.compared()
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        batches = dataset.batches("evaluation", settings.batch, start, count)
        with progress.stage("float", total=count) as step:
            kept = FloatOutputs(
                Path(scratch), batches, Executor(loaded[NETWORK], context=context(settings)), step.advance
            )
        shared: dict[str, dict[Product[Any], Any]] = {}
        for setting, variant in variants(config, quick):
            logger.info("%s", setting)
            stages = [
                *recipe_stages(Recipe.from_config(variant), pictures),
                *compiled_stages(variant, pictures, Path(scratch) / "model"),
                Evaluate(variant, pictures, kept=kept),
            ]
            known = shared.setdefault(variant.prepare.model_dump_json(), {})
            have = run_stages(stages, [EVALUATED, *_SHARED], progress, given={**network, **known})
            known.update({product: have[product] for product in _SHARED if have[product]})  # moments may be of no use
            report = have[EVALUATED]
            name, score = next(iter(report.accuracy["cvm"].items()))
            outcomes.append(Outcome(setting=setting, score=score, agreement=report.agreement, sqnr_db=report.sqnr_db))
    return Ablation(
        model=config.default.model_name,
        dataset=dataset.name,
        pictures=count,
        metric=name,
        float_score=report.accuracy["float"][name],
        outcomes=outcomes,
        configuration=config.as_dict(),
    )
