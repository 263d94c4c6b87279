"""LeNet for 28x28 grey pictures, after LeCun et al., Gradient-based learning applied to document recognition (1998)."""

from __future__ import annotations

from mxnet.gluon import nn


def lenet() -> nn.HybridSequential:
    """Two convolutions with max pooling, two dense layers; (N, 1, 28, 28) to (N, 10)."""
    net = nn.HybridSequential(prefix="lenet_")
    with net.name_scope():
        net.add(
            nn.Conv2D(20, kernel_size=5, activation="relu"),
            nn.MaxPool2D(2),
            nn.Conv2D(50, kernel_size=5, activation="relu"),
            nn.MaxPool2D(2),
            nn.Flatten(),
            nn.Dense(500, activation="relu"),
            nn.Dense(10),
        )
    return net
