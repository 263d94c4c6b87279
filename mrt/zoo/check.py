"""What is known of each network of the zoo before it is run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from mrt.config import Config
from mrt.errors import MRTError
from mrt.zoo.settings import has_weights, settings


@dataclass(frozen=True)
class ZooNetwork:
    """One network of the zoo.

    Attributes:
        name: in the zoo.
        problem: why its configuration is not valid, or None; the other attributes say nothing then.
        dataset: the name of the data that it is evaluated on.
        input_shape: with -1 for the batch axis.
        weights: whether trained weights are on this machine.
    """

    name: str
    problem: str | None = None
    dataset: str = ""
    input_shape: tuple[int, ...] = ()
    weights: bool = False


def entry(name: str, models: Path | None = None) -> ZooNetwork:
    """What the configuration of a network says, and whether its weights are there."""
    try:
        config = settings(name, models)
    except MRTError as error:
        return ZooNetwork(name, problem=str(error))
    return ZooNetwork(name, None, config.calibration.dataset, config.default.only_shape, has_weights(config))


@dataclass(frozen=True)
class Availability:
    """What `check` found, each None where all is well, else what is wrong."""

    name: str
    configuration: str | None = None
    weights: str | None = None
    dataset: str | None = None
    prepare: str | None = None

    @property
    def missing(self) -> list[str]:
        """What is wrong, by the name of the part; a network with nothing of it can be run."""
        return [part.name for part in fields(self)[1:] if getattr(self, part.name) is not None]


def check(name: str, models: Path | None = None) -> Availability:
    """Try the configuration, look for weights and data, and prepare the network (with seeded weights if need be)."""
    try:
        config = settings(name, models)
    except MRTError as error:
        return Availability(name, configuration=str(error))
    weights = None if has_weights(config) else f"not found in {config.default.model_dir}"
    return Availability(name, None, weights, _dataset(config), _prepare(config, name, weights is None))


def _dataset(config: Config) -> str | None:
    from mrt.run.pictures import open_dataset  # imports mxnet, which takes seconds

    try:
        open_dataset(config, config.calibration.dataset, config.calibration.dataset_dir)
    except MRTError as error:
        return str(error)
    return None


def _prepare(config: Config, name: str, trained: bool) -> str | None:
    from mrt.run.keys import split_as_configured
    from mrt.run.source import load_network, untrained_network
    from mrt.transform import PREPARE, PassManager  # imports mxnet, which takes seconds

    try:
        network = load_network(config) if trained else untrained_network(config, name)
        cut = split_as_configured(network, config.split_model.keys)
        PassManager(PREPARE).run(cut.base if cut else network)
    except MRTError as error:
        return str(error)
    return None
