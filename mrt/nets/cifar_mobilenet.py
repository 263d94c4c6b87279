"""MobileNet for 32x32 pictures, after Howard et al., https://arxiv.org/abs/1704.04861 (2017), at half its width."""

from __future__ import annotations

from mxnet.gluon import nn

_STEM = 16
_BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1))  # channels, stride


def cifar_mobilenet() -> nn.HybridSequential:
    """Eight depthwise-separable blocks, the first two at full resolution; (N, 3, 32, 32) to (N, 10)."""
    net = nn.HybridSequential(prefix="cifarmobilenet_")
    with net.name_scope():
        _convolution(net, _STEM, kernel=3)
        before = _STEM
        for channels, stride in _BLOCKS:
            _convolution(net, before, kernel=3, stride=stride, groups=before)
            _convolution(net, channels, kernel=1)
            before = channels
        net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(10))
    return net


def _convolution(net: nn.HybridSequential, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
    net.add(
        nn.Conv2D(channels, kernel, stride, padding=kernel // 2, groups=groups, use_bias=False),
        nn.BatchNorm(),
        nn.Activation("relu"),
    )
