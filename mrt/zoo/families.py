"""One small network of each family of GluonCV, with seeded weights: compiled, or refused in one line.

`make families` runs this and writes the table to the end of `docs/zoo.md`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.executors.child import attempt
from mrt.graph import Graph
from mrt.graph.batch import InputShape
from mrt.zoo.table import FAMILIES_TITLE, default_path

_SECONDS = 1200.0
_PICTURES = 4
_TEXT = """
Written by `make families`: GluonCV's builders with seeded weights, on synthetic data. What is not for integers is cut
off and stays in float (*cut at*), as `Keys=auto` does; a network that cannot be compiled names the operator.

"""


@dataclass(frozen=True)
class Family:
    """What stands for a family: a network of GluonCV, and an input that it takes.

    Not `seeded`, its weights are as GluonCV begins training, not as `mrt.run.seeded` draws them: that draws for
    networks of one input, and such that proposals of boxes grow without bounds. `build` is for a network whose builder
    in GluonCV's zoo raises without trained weights.
    """

    name: str
    network: str
    shape: InputShape
    seeded: bool = True
    build: Callable[[], Any] | None = None


def _inceptionv1_kinetics400() -> Any:
    from mrt.nets.inceptionv1_kinetics400 import inceptionv1_kinetics400  # imports mxnet

    return inceptionv1_kinetics400()


FAMILIES = (
    Family("classification", "squeezenet1.1", (-1, 3, 224, 224)),
    Family("segmentation", "fcn_resnet50_voc", (-1, 3, 64, 64)),
    Family("pose", "simple_pose_resnet18_v1b", (-1, 3, 64, 64)),
    Family("detection, one stage", "ssd_512_mobilenet1.0_voc", (-1, 3, 256, 256)),
    Family("detection, points", "center_net_resnet18_v1b_voc", (-1, 3, 64, 64)),
    Family("detection, two stages", "faster_rcnn_resnet50_v1b_voc", (-1, 3, 128, 128), seeded=False),
    Family("depth", "monodepth2_resnet18_kitti_mono_640x192", (-1, 3, 64, 96)),
    Family(
        "tracking",
        "siamrpn_alexnet_v2_otb15",
        {"template": (-1, 3, 127, 127), "search": (-1, 3, 255, 255)},
        seeded=False,
    ),
    Family("action", "inceptionv1_kinetics400", (-1, 3, 224, 224), build=_inceptionv1_kinetics400),
    Family("action, in space and time", "i3d_inceptionv1_kinetics400", (-1, 3, 8, 112, 112)),
)


def result(family: Family) -> str:
    """What becomes of a family's network, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch) / "told"

        def task() -> None:
            try:
                told.write_text(_compiled(family))
            except MRTError as error:
                told.write_text(f"refused: {' '.join(str(error).split())}")

        failure = attempt(task, _SECONDS)
        return f"FAILED: {failure.reason}" if failure else told.read_text()


def _compiled(family: Family) -> str:
    """Compile the network, or what is before its head, and say how closely the integers follow."""
    import mrt  # imports mxnet, which takes seconds
    from mrt import ops
    from mrt.frontends.reading import network_of_block
    from mrt.run.keys import split_as_configured
    from mrt.run.seeded import structural_network
    from mrt.run.source import untrained_zoo_block
    from mrt.transform.validate import Validate

    net = family.build() if family.build else untrained_zoo_block(family.network)
    net.initialize()
    reason = "random boxes are near ties, of which any may come first"
    try:
        network: Graph = network_of_block(net, family.shape)
        Validate().run(network)
        whole = not any(ops.of(node).suppresses for node in network.nodes())
    except MRTError as error:
        whole, reason = False, str(error)
    where = ""
    if not whole:
        try:
            cut = split_as_configured(network_of_block(net, family.shape, alone=True), ("auto",))
        except MRTError:
            raise MRTError(reason) from None  # there is no head to cut off
        assert cut is not None
        network, where = cut.base, f"; cut at {len(cut.base.outputs)} tensors: {reason}"
    random = np.random.default_rng(0)
    drawn = {name: random.standard_normal(size, np.float32) for name, size in network.input_shapes(_PICTURES).items()}
    data = drawn if len(drawn) > 1 else next(iter(drawn.values()))
    if family.seeded:
        network = structural_network(network, data)
    model = mrt.quantize(network, data)
    noise = model.sqnr(data)
    shown = ", ".join(f"{value:.1f}" for value in (noise if isinstance(noise, tuple) else (noise,)))
    return f"compiled: {shown} dB{where}"


def _shown(shape: InputShape) -> str:
    sizes = shape.values() if isinstance(shape, Mapping) else [shape]
    return " and ".join("×".join(map(str, size[1:])) for size in sizes)


def section(results: Sequence[tuple[Family, str]]) -> str:
    """The part of the document."""
    rows = [(f.name, f.network, _shown(f.shape), told.replace("|", "/")) for f, told in results]
    headers = ("family", "network", "input", "result")
    return f"{FAMILIES_TITLE}\n{_TEXT}{tabulate(rows, headers=headers, tablefmt='github', disable_numparse=True)}\n"


def main() -> int:
    """Run all; 1 where one of them failed, neither compiled nor refused."""
    results = []
    for family in FAMILIES:
        results.append((family, result(family)))
        print(f"{family.name}: {family.network}: {results[-1][1]}", flush=True)
    path = default_path()
    networks = path.read_text(encoding="utf-8").split(FAMILIES_TITLE)[0]
    atomic_write(path, f"{networks.rstrip()}\n\n{section(results)}")
    return int(any(told.startswith("FAILED") for _, told in results))


if __name__ == "__main__":
    sys.exit(main())
