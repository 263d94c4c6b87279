"""A small SSD, GluonCV's, on MobileNet 0.25 for 128x128 pictures of digits."""

from __future__ import annotations

import mxnet as mx

from mrt.packages import prepare_gluoncv

_SIZE = 128
_FEATURES = ("relu10_fwd", "relu22_fwd")  # 64 channels of 16x16 cells, 128 of 8x8
_STEPS = (8, 16)
_SIDES = (26, 38, 54)  # of the anchors, in pixels: from and to, for each of the features
_RATIOS = (1, 0.5)
_CLASSES = tuple("0123456789")
_KEPT_ANCHORS = 16  # cells of the largest grid
_TOP, _BOXES = 400, 100


def ssd_digits() -> mx.gluon.HybridBlock:
    """(N, 3, 128, 128) to class numbers (N, 100, 1), scores (N, 100, 1) and corners in pixels (N, 100, 4)."""
    prepare_gluoncv()
    from gluoncv.model_zoo.ssd import SSD  # takes seconds

    return SSD(
        "mobilenet0.25",
        _SIZE,
        _FEATURES,
        num_filters=[],
        sizes=_SIDES,
        ratios=[_RATIOS] * len(_FEATURES),
        steps=_STEPS,
        classes=_CLASSES,
        anchor_alloc_size=_KEPT_ANCHORS,
        nms_topk=_TOP,
        post_nms=_BOXES,
        prefix="ssd_digits_",
    )
