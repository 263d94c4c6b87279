"""Learns for each weight whether to round it down or up, so that the layer's output comes out nearest.

AdaRound (Nagel et al., 2020), layer by layer: each weight w, in steps, lies between two integers, and gradient descent
on

    E |(floor(w) + h - w) x|^2  +  lambda sum(1 - |2 h - 1|^beta),    h = clip(1.2 sigmoid(v) - 0.1, 0, 1)

finds v; beta falls from 20 to 2 and so drives each h to 0 or 1. With the covariance C of the layer's input on the
calibration set, the expectation is d C d^T, d = floor(w) + h - w: each step sees the whole set, in memory that does not
grow with it, and nothing is drawn at random. Last come single flips, as long as one helps. All of it gives the same
bits on any machine (`mrt.reproducible`).
"""

from __future__ import annotations

import numpy as np

from mrt.graph import Array
from mrt.reproducible import exp, log, matmul

_STEPS = 200
_RATE, _DECAY, _SMALLEST = 0.05, (0.9, 0.999), np.float32(1e-8)  # of Adam (Kingma and Ba, 2015)
_REGULARIZATION = 0.05
_WARM_UP = 0.2  # the part of the steps before h is driven anywhere
_BETA = (20.0, 2.0)
_STRETCH = 1.2
_INSIDE = 1e-3
_EXACT = 1e-6


def learn_rounding(weights: Array, step: Array, limit: int, covariance: Array) -> Array:
    """Integer weights, each one of the two next to its float weight; never worse than the nearest.

    Args:
        weights: (G, R, B) float weights: G groups of R outputs that read the same B inputs.
        step: (G, R), their steps.
        limit: the largest magnitude of an integer.
        covariance: (G, B, B), of the inputs, positive definite.
    """
    ideal = np.clip(weights / step[:, :, None], -limit, limit)
    nearest: Array = np.rint(ideal)
    if np.max(np.abs(ideal - nearest)) < _EXACT:
        return nearest
    scale = np.trace(covariance, axis1=1, axis2=2) / covariance.shape[1]
    normal = covariance / scale[:, None, None]
    floor = np.minimum(np.floor(ideal), limit - 1)
    learned = floor + (_descend(ideal - floor, normal) >= 0.5)
    better = np.where(_cost(learned - ideal, normal) < _cost(nearest - ideal, normal), learned, nearest)
    return _flip(better, ideal, floor, normal)


def _cost(difference: Array, covariance: Array) -> Array:
    """What each row's rounding costs at the output, (G, R, 1)."""
    cost: Array = np.sum(matmul(difference, covariance) * difference, axis=2, keepdims=True)
    return cost


def _descend(fraction: Array, covariance: Array) -> Array:
    """The h, each almost 0 or 1, learned by Adam for weights that lie `fraction` above their floor."""
    target, moments = fraction.astype(np.float32), covariance.astype(np.float32)
    inside = np.clip((fraction + (_STRETCH - 1) / 2) / _STRETCH, _INSIDE, 1 - _INSIDE)
    free = log(inside / (1 - inside)).astype(np.float32)
    mean, variance = np.zeros_like(free), np.zeros_like(free)
    for index in range(_STEPS):
        part = _sigmoid(free)
        rounded = _stretched(part)
        slope = 2 * matmul(rounded - target, moments, slices=1).astype(np.float32)
        progress = (index / _STEPS - _WARM_UP) / (1 - _WARM_UP)
        if progress >= 0:
            beta = np.float32(_BETA[1] + (_BETA[0] - _BETA[1]) * (1 + np.cos(np.pi * progress)) / 2)
            side = 2 * rounded - 1
            slope -= 2 * np.float32(_REGULARIZATION) * beta * np.sign(side) * _power(np.abs(side), float(beta - 1))
        slope *= _STRETCH * part * (1 - part)
        slope[(rounded <= 0) | (rounded >= 1)] = 0
        mean += (1 - _DECAY[0]) * (slope - mean)
        variance += (1 - _DECAY[1]) * (np.square(slope) - variance)
        unbiased = np.sqrt(1 - _DECAY[1] ** (index + 1)) / (1 - _DECAY[0] ** (index + 1))
        free -= np.float32(_RATE * unbiased) * mean / (np.sqrt(variance) + _SMALLEST)
    return _stretched(_sigmoid(free))


def _sigmoid(x: Array) -> Array:
    sigmoid: Array = (1 / (1 + exp(-x))).astype(np.float32)
    return sigmoid


def _power(base: Array, exponent: float) -> Array:
    """Of numbers from 0 on."""
    power: Array = exp(exponent * log(np.maximum(base, np.finfo(np.float32).tiny))).astype(np.float32)
    return power


def _stretched(part: Array) -> Array:
    """h of sigmoid(v)."""
    stretched: Array = np.clip(_STRETCH * part - (_STRETCH - 1) / 2, 0, 1)
    return stretched


def _flip(rounded: Array, ideal: Array, floor: Array, covariance: Array) -> Array:
    """Takes in every row the flip that helps most, until none does."""
    rounded = rounded.copy()
    diagonal = np.diagonal(covariance, axis1=1, axis2=2)[:, None]
    gradient = 2 * matmul(rounded - ideal, covariance)
    group, row = np.indices(rounded.shape[:2])
    for _ in range(rounded.shape[2]):
        change = 1 - 2 * (rounded - floor)
        gain = gradient * change + diagonal
        chosen = gain.argmin(axis=2)
        helps = gain[group, row, chosen] < 0
        if not helps.any():
            break
        by = np.where(helps, change[group, row, chosen], 0)
        rounded[group, row, chosen] += by
        gradient += 2 * by[:, :, None] * covariance[group, chosen]
    return rounded
