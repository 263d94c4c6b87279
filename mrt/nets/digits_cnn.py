"""A small convolutional network for 8x8 grey pictures."""

from __future__ import annotations

from mxnet.gluon import nn


def digits_cnn() -> nn.HybridSequential:
    """Two convolutions with batch normalisation, one max pooling, one dense layer; (N, 1, 8, 8) to (N, 10)."""
    net = nn.HybridSequential(prefix="digits_")
    with net.name_scope():
        for channels in (16, 32):
            net.add(
                nn.Conv2D(channels, kernel_size=3, padding=1, use_bias=False),
                nn.BatchNorm(),
                nn.Activation("relu"),
            )
        net.add(nn.MaxPool2D(2), nn.Flatten(), nn.Dense(10))
    return net
