"""What is benchmarked, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CLASSIFIERS = ("resnet50_v1", "mobilenet1.0", "resnet18_v1", "squeezenet1.0", "mobilenetv2_1.0", "cifar_resnet20_v1")
"""Configurations of the zoo."""


@dataclass(frozen=True)
class Dense:
    """A network that says something of every place of a picture.

    Attributes:
        network: GluonCV's name, or, if `trained`, the stem of its files in the folder of models.
        size: height and width of the pictures.
        options: of its builder.
        trained: whether its weights are not seeded but those of files.
        keys: where it is cut, in front of what the peers do not compute in integers.
    """

    network: str
    size: tuple[int, int]
    options: Mapping[str, object] = field(default_factory=dict)
    trained: bool = False
    keys: tuple[str, ...] = ()


DENSE = {
    "deeplabv3_mobilenetv2": Dense("tf_deeplabv3_mnv2_ade20k", (512, 512), trained=True),
    "fastscnn": Dense("fastscnn_citys", (512, 1024), {"aux": False, "height": 512, "width": 1024}),
    "simple_pose_resnet18": Dense("simple_pose_resnet18_v1b", (256, 192)),
    "ssd_mobilenet1.0": Dense("ssd_512_mobilenet1.0_voc", (300, 300), keys=("ssd0_concat0", "ssd0_concat1")),
}
"""At the sizes at which they are used."""
