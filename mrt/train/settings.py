"""What determines a training, besides its network and its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mxnet as mx

from mrt.errors import MRTError
from mrt.train.nesterov import Nesterov

OPTIMIZERS = ("sgd", "nag", "adam")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        epochs: passes over the training split.
        batch: pictures per update; the pictures left over at the end of an epoch are skipped.
        optimizer: "sgd", "nag" (Nesterov) or "adam".
        learning_rate: at the start.
        momentum: for sgd and nag.
        weight_decay: L2 penalty.
        schedule: "cosine" (falls to 0 with the last update) or "constant".
        augment: shift and mirror the pictures at random, as the dataset allows.
        seed: of the initial weights, the order of the pictures and the augmentation.
    """

    epochs: int = 10
    batch: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    augment: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that no training can use."""
        for field, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, field)
            if value not in allowed:
                raise MRTError(f"{value!r}: must be one of {', '.join(allowed)}", switch=f"train.{field}")
        for field in ("epochs", "batch", "learning_rate"):
            value = getattr(self, field)
            if value <= 0:
                raise MRTError(f"{value}: must be positive", switch=f"train.{field}")

    def make_optimizer(self, steps: int, done: int = 0) -> Any:
        """MXNet's optimizer for `steps` updates an epoch, of which `done` are behind."""
        options: dict[str, Any] = {"learning_rate": self.learning_rate, "wd": self.weight_decay}
        if self.optimizer != "adam":
            options["momentum"] = self.momentum
        if self.schedule == "cosine":
            options["lr_scheduler"] = mx.lr_scheduler.CosineScheduler(steps * self.epochs, self.learning_rate)
        options.update(rescale_grad=1.0 / self.batch, begin_num_update=done)
        if self.optimizer == "nag":
            return Nesterov(**options)
        return mx.optimizer.create(self.optimizer, **options)


@dataclass(frozen=True)
class TrainSettings(FitSettings):
    """How to train a network that `mrt.nets.get` knows by the name `network`.

    Attributes:
        network: the name.
        initial: a file of weights to begin with (`mrt.nets.pretrained`); empty: drawn from the seed.
    """

    network: str = ""
    initial: str = ""
