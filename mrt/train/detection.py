"""What training a detector of GluonCV's SSD kind needs beside `mrt.train.fit`: its targets and its loss."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from gluoncv.loss import SSDMultiBoxLoss
from gluoncv.model_zoo.ssd.target import SSDTargetGenerator
from mxnet import autograd, gluon
from numpy.typing import NDArray

from mrt.errors import MRTError
from mrt.graph.batch import Feed

_CORNERS, _CLASS = slice(0, 4), 4  # of a label (corners, class number, difficult)


class SSDObjective:
    """The multi-box loss of Liu et al., SSD (2016), with the targets that GluonCV derives from anchors and objects.

    Args:
        network: initialised; in training it gives class scores (N, A, C + 1), offsets (N, A, 4) and anchors (1, A, 4).
        shape: of its input, batch 1.

    Raises:
        MRTError: it gives something else.
    """

    def __init__(self, network: gluon.HybridBlock, shape: tuple[int, ...]) -> None:
        with autograd.train_mode():
            outputs = network(mx.nd.zeros(shape))
        if not isinstance(outputs, (list, tuple)) or len(outputs) != 3 or outputs[2].shape[-1] != 4:
            raise MRTError(
                f"{network.name}: only networks of GluonCV's SSD kind learn to detect", switch="train.network"
            )
        self._network = network
        self._anchors = outputs[2]
        self._targets = SSDTargetGenerator(negative_mining_ratio=-1)  # the loss itself picks hard negatives
        self._loss = SSDMultiBoxLoss()

    def __call__(self, pictures: Feed, labels: NDArray[Any]) -> Any:
        """The loss of each picture of a batch; labels are (N, M, 6), rows of -1 being no objects."""
        classes, boxes = self._targets_of(labels)
        scores, offsets, _ = self._network(mx.nd.array(pictures))
        (losses,), _, _ = self._loss(scores, offsets, classes, boxes)
        return losses * len(pictures)  # it is divided by the objects of the whole batch, not by its pictures

    def _targets_of(self, labels: NDArray[Any]) -> tuple[Any, Any]:
        """For each anchor its class number, 0 being the background (N, A), and its box as offsets (N, A, 4)."""
        with autograd.pause():
            corners, numbers = mx.nd.array(labels[:, :, _CORNERS]), mx.nd.array(labels[:, :, _CLASS, None])
            classes, boxes, _ = self._targets(self._anchors, None, corners, numbers)
            matched = (classes > 0).expand_dims(-1).broadcast_like(boxes)  # of rows of -1, the offsets are not numbers
            return classes, mx.nd.where(matched, boxes, mx.nd.zeros_like(boxes))
