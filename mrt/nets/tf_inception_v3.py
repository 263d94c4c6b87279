"""Inception v3 as TensorFlow has it: Szegedy et al., Rethinking the Inception architecture for computer vision (2015).

What differs from GluonCV's inceptionv3: TensorFlow's padding (SAME averages count no padding; SAME convolutions pad so
that the output has ceil(size / stride) rows), BatchNorm without gamma, and a class 0 for the background.
"""

from __future__ import annotations

from typing import Any

from mxnet.gluon import nn
from mxnet.gluon.contrib.nn import HybridConcurrent

_CLASSES = 1001
_EPSILON = 1e-3


def tf_inception_v3() -> nn.HybridSequential:
    """48 layers; (N, 3, 299, 299) to the logits (N, 1001)."""
    net = nn.HybridSequential(prefix="tf_inception_v3_")
    with net.name_scope():
        net.add(_conv(32, 3, stride=2, same=False), _conv(32, 3, same=False), _conv(64, 3), nn.MaxPool2D(3, 2))
        net.add(_conv(80, 1), _conv(192, 3, same=False), nn.MaxPool2D(3, 2))
        net.add(*(_mixed5(pooled) for pooled in (32, 64, 64)))
        net.add(_parallel(_conv(384, 3, 2, same=False), _chain(_conv(64, 1), _conv(96, 3), _conv(96, 3, 2, same=False)),
                          nn.MaxPool2D(3, 2)))  # fmt: skip
        net.add(*(_mixed6(channels) for channels in (128, 160, 160, 192)))
        net.add(_parallel(_chain(_conv(192, 1), _conv(320, 3, 2, same=False)),
                          _chain(_conv(192, 1), _conv(192, (1, 7)), _conv(192, (7, 1)), _conv(192, 3, 2, same=False)),
                          nn.MaxPool2D(3, 2)))  # fmt: skip
        net.add(_mixed7(), _mixed7())
        net.add(nn.GlobalAvgPool2D(), nn.Dropout(0.2), nn.Flatten(), nn.Dense(_CLASSES))
    return net


def _conv(channels: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = True) -> nn.HybridSequential:
    """Convolution, BatchNorm, ReLU. Every SAME convolution of the network has stride 1, so both sides pad alike."""
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = tuple(taps // 2 if same else 0 for taps in size)
    return _chain(
        nn.Conv2D(channels, size, stride, padding, use_bias=False),
        nn.BatchNorm(epsilon=_EPSILON, scale=False),
        nn.Activation("relu"),
    )


def _chain(*blocks: Any) -> nn.HybridSequential:
    chain = nn.HybridSequential(prefix="")
    chain.add(*blocks)
    return chain


def _parallel(*branches: Any) -> Any:
    """The branches' outputs, one after the other along the channels."""
    block = HybridConcurrent(axis=1, prefix="")
    block.add(*branches)
    return block


def _pooled(channels: int) -> nn.HybridSequential:
    return _chain(nn.AvgPool2D(3, 1, 1, count_include_pad=False), _conv(channels, 1))


def _mixed5(pooled: int) -> Any:
    return _parallel(
        _conv(64, 1),
        _chain(_conv(48, 1), _conv(64, 5)),
        _chain(_conv(64, 1), _conv(96, 3), _conv(96, 3)),
        _pooled(pooled),
    )


def _mixed6(channels: int) -> Any:
    wide, high = (1, 7), (7, 1)
    return _parallel(
        _conv(192, 1),
        _chain(_conv(channels, 1), _conv(channels, wide), _conv(192, high)),
        _chain(
            _conv(channels, 1), _conv(channels, high), _conv(channels, wide), _conv(channels, high), _conv(192, wide)
        ),
        _pooled(192),
    )


def _mixed7() -> Any:
    return _parallel(
        _conv(320, 1),
        _chain(_conv(384, 1), _parallel(_conv(384, (1, 3)), _conv(384, (3, 1)))),
        _chain(_conv(448, 1), _conv(384, 3), _parallel(_conv(384, (1, 3)), _conv(384, (3, 1)))),
        _pooled(192),
    )
