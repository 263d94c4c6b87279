"""First and second moments of what a layer's weights are multiplied with, for rounding weights by their effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrt.graph import Array
from mrt.reproducible import gram

_BLOCK = 1152  # inputs further apart than this are treated as uncorrelated: memory and time stay linear in the layer


@dataclass
class Moments:
    """Moments of a layer's input patches.

    Attributes:
        count: number of patches.
        pivot: near the mean, (G, K): G groups, K = input channels of a group x taps, in the weights' order. It is
            taken off the patches first, so that float32 sums resolve what is spread little about a large mean.
        total: sum of the patches less the pivot, (G, K).
        products: for each run of columns, the sum of the outer products of the same, (G, B, B).
        columns: the runs, which cover 0..K.
    """

    count: int
    pivot: Array
    total: Array
    products: list[Array]
    columns: list[slice]

    @property
    def mean(self) -> Array:
        """(G, K)."""
        mean: Array = self.pivot + self.total / self.count
        return mean

    def covariance(self, block: int) -> Array:
        """The covariance of the columns of one run, (G, B, B)."""
        mean = self.total[:, self.columns[block]].astype(np.float64) / self.count
        return self.products[block] / self.count - mean[:, :, None] * mean[:, None, :]

    @classmethod
    def around(cls, pivot: Array) -> Moments:
        """Of no patches yet; the pivot is (G, K)."""
        groups, width = pivot.shape
        edges = np.linspace(0, width, -(-width // _BLOCK) + 1).astype(int)
        columns = [slice(int(a), int(b)) for a, b in zip(edges, edges[1:])]
        products = [np.zeros((groups, c.stop - c.start, c.stop - c.start), np.float32) for c in columns]
        return cls(0, pivot, np.zeros_like(pivot), products, columns)

    def divided(self, divisors: Array) -> Moments:
        """Of the same patches divided by numbers of their own, (G, K)."""
        apart = [divisors[:, c] for c in self.columns]
        products = [(p / (d[:, :, None] * d[:, None, :])).astype(p.dtype) for p, d in zip(self.products, apart)]
        pivot, total = ((sums / divisors).astype(sums.dtype) for sums in (self.pivot, self.total))
        return Moments(self.count, pivot, total, products, self.columns)

    def add(self, patches: Array) -> None:
        """Take (G, N, K) patches in."""
        patches = patches - self.pivot[:, None]
        self.count += patches.shape[1]
        self.total += patches.sum(axis=1)
        for product, columns in zip(self.products, self.columns):
            part = patches[:, :, columns]
            product += gram(part).astype(np.float32)  # added in the order of the data: the same on any machine
