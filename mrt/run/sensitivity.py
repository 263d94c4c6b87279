"""What `mrt sensitivity` does: the stages up to the integer network, then the measurement."""

from __future__ import annotations

import logging
from typing import Any

from mrt.analysis.sensitivity import measure, operators_of
from mrt.config import Config, Start
from mrt.errors import MRTError, Remedy
from mrt.report import Progress
from mrt.report.sensitivity import Sensitivity
from mrt.run.evaluation import FindJudge
from mrt.run.load import Load
from mrt.run.pictures import Pictures
from mrt.run.products import JUDGE, PREPARED, QUANTIZED
from mrt.run.stage import Product, run_stages
from mrt.run.stages import checkpoints_of, configured_stages, hold_instructions

logger = logging.getLogger(__name__)

_REUSED = (Start.PREPARE, Start.CALIBRATION)  # the quantizer's own tables are not in a checkpoint


def sensitivity(config: Config, progress: Progress, count: int) -> Sensitivity:
    """Measure what each operator's quantization costs the network (`mrt.analysis.sensitivity`).

    Where [DEFAULT] Start says nothing, the checkpoints of PREPARE and CALIBRATION are reused if they are this run's.

    Args:
        config: what to quantize, and how.
        progress: shows it.
        count: how many of the pictures to evaluate on, at most.

    Raises:
        MRTError: bad input, named.
    """
    if config.quantization.restore_name:
        raise MRTError(
            "sensitivity leaves each operator in float in turn", Remedy.NOTHING_RESTORED, "quantization.restore_name"
        )
    hold_instructions(config)  # a run may go on from the checkpoints that this one leaves
    pictures = Pictures(config)
    start = min(config.default.start, Start.CALIBRATION)
    if start == Start.DEFAULT:
        start = checkpoints_of(config, pictures).fitting(_REUSED)
        if start:
            logger.info("reusing the checkpoints in %s up to %s", config.default.output_dir, start.name)
    stages = [Load(config), FindJudge(config, pictures), *configured_stages(config, pictures)]
    wanted: list[Product[Any]] = [PREPARED, QUANTIZED]
    if not config.split_model.keys:  # else, the base's outputs are not what a metric judges
        wanted.append(JUDGE)
    have = run_stages(stages, wanted, progress, start)
    prepared, quantized = have[PREPARED], have[QUANTIZED]
    dataset, first, available = pictures.evaluated()
    count = min(count, available)
    batches = dataset.batches("evaluation", min(count, config.calibration.batch), first, count)
    metric = have[JUDGE].metric if JUDGE in have else None
    with progress.stage("sensitivity", total=count * len(operators_of(prepared, quantized))) as step:
        measured = measure(prepared, quantized, batches, metric, advance=step.advance)
    return Sensitivity(
        model=config.default.model_name,
        dataset=dataset.name,
        pictures=measured.pictures,
        metric=measured.metric,
        float_score=measured.float_score,
        quantized=measured.quantized,
        operators=measured.operators,
        seconds=dict(progress.seconds),
        configuration=config.as_dict(),
    )
