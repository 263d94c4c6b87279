"""A small convolutional network for Quick, Draw! doodles: 28x28 grey pictures."""

from __future__ import annotations

from mxnet.gluon import nn


def quickdraw() -> nn.HybridSequential:
    """Three convolutions with max pooling, two dense layers; (N, 1, 28, 28) to (N, 10)."""
    net = nn.HybridSequential(prefix="quickdraw_")
    with net.name_scope():
        for channels in (16, 32, 64):
            net.add(nn.Conv2D(channels, kernel_size=3, padding=1, activation="relu"), nn.MaxPool2D(2))
        net.add(nn.Flatten(), nn.Dense(128, activation="relu"), nn.Dense(10))
    return net
