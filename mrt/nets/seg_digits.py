"""A small U-Net for 64x64 pictures of digits, after Ronneberger et al., https://arxiv.org/abs/1505.04597 (2015)."""

from __future__ import annotations

from typing import Any

from mxnet import gluon
from mxnet.gluon import nn

_CLASSES = 11
_DOWN = (8, 16, 32, 40)  # channels at 64x64, 32x32, 16x16 and 8x8
_UP = (24, 16, 16)  # channels at 16x16, 32x32 and 64x64


class _UNet(gluon.HybridBlock):  # type: ignore[misc]  # MXNet is not typed
    """Each level halves the picture, and on the way up joins what is below with what it had on the way down."""

    def __init__(self) -> None:
        super().__init__(prefix="segdigits_")
        with self.name_scope():
            self.down = nn.HybridSequential()
            self.up = nn.HybridSequential()
            for level, channels in enumerate(_DOWN):
                self.down.add(_convolutions(channels, stride=2 if level else 1, count=2 if level else 1))
            for channels in _UP:
                self.up.add(_convolutions(channels))
            self.classes = nn.Conv2D(_CLASSES, kernel_size=1)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Class scores of every pixel."""
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
        for block, beside in zip(self.up, reversed(kept[:-1])):
            larger = F.UpSampling(x, scale=2, sample_type="nearest")
            x = block(F.concat(larger, beside, dim=1))
        return self.classes(x)


def seg_digits() -> gluon.HybridBlock:
    """(N, 3, 64, 64) to class scores (N, 11, 64, 64)."""
    return _UNet()


def _convolutions(channels: int, stride: int = 1, count: int = 1) -> nn.HybridSequential:
    block = nn.HybridSequential()
    for index in range(count):
        block.add(
            nn.Conv2D(channels, kernel_size=3, strides=1 if index else stride, padding=1, use_bias=False),
            nn.BatchNorm(),
            nn.Activation("relu"),
        )
    return block
