"""What the stages that train find around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mrt.config.base import Fit
from mrt.config.compression import Finetune
from mrt.datasets import Dataset
from mrt.graph.batch import InputShape


@dataclass(frozen=True)
class Training:
    """Data to train on and to judge by, and where trainings that were interrupted go on from.

    Attributes:
        of: the dataset that a section trains on.
        judged: the dataset, the first picture of its evaluation split, how many, and the batch, by which a step of
            compression is judged; None where nothing is.
        folder: of the trainings' files.
        name: the model's, which these begin with.
        inputs: the network's input shape, or shapes by name.
        otherwise: how to train where pruning trains and [FINETUNE] is not there.
    """

    of: Callable[[Fit], Dataset]
    judged: Callable[[], tuple[Dataset, int, int, int] | None]
    folder: Path
    name: str
    inputs: InputShape
    otherwise: Finetune
