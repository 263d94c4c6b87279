"""A network of the zoo with seeded weights, for tests and measurements that need no data."""

from __future__ import annotations

from mrt import datasets, zoo
from mrt.config import load
from mrt.graph import Array, Graph
from mrt.run.pictures import preprocess
from mrt.run.seeded import structural_network
from mrt.run.source import untrained_network

_PICTURES = 16


def random_network(name: str, pictures: Array | None = None, seed: int = 0) -> Graph:
    """The float network that a structural run of the zoo network `name` quantizes.

    Args:
        name: in the zoo, such as "resnet50_v1".
        pictures: network input (n, C, H, W) to fit BatchNorm statistics on; synthetic pictures where None.
        seed: of the weights.

    Raises:
        MRTError: the zoo has no such network.
    """
    (name,) = zoo.select([name])
    config = load(zoo.configuration(name))
    if pictures is None:
        original = datasets.get(config.calibration.dataset)
        stand_in = datasets.Synthetic(original, config.default.only_shape, preprocess(config))
        ((pictures, _),) = stand_in.batches("calibration", _PICTURES, 0, _PICTURES)
    return structural_network(untrained_network(config, name), pictures, seed)
