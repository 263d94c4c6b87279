"""GluonCV's 20-layer CIFAR ResNet on ten classes of Quick, Draw! doodles."""

from __future__ import annotations

import mxnet as mx

from mrt.packages import prepare_gluoncv


def qd10_resnetv1_20() -> mx.gluon.HybridBlock:
    """The network of cifar_resnet20_v1, for grey pictures; (N, 1, 28, 28) to (N, 10)."""
    prepare_gluoncv()
    import gluoncv  # takes seconds

    return gluoncv.model_zoo.get_model("cifar_resnet20_v1", pretrained=False, classes=10)
