"""Rounds weights so that the layer's output, not each weight, comes out nearest.

With inputs of covariance C, rounding w to w + d costs d^T C d at the layer's output. Weights are rounded one input at a
time; what one rounding loses, the inputs not yet rounded make up for as far as they are correlated with it. This is
optimal brain quantization with a fixed order (Hassibi and Stork 1993; Frantar et al., GPTQ, 2022):

    U = upper Cholesky factor of C^-1,    e = (w_i - q_i) / U_ii,    w_j -= e U_ij  for j > i.

`mrt.integer.learned` is the other way to lower d^T C d. The part of the error that the mean input causes is a
constant, which the bias takes back exactly.

All that decides is computed by `mrt.reproducible`, so that any machine rounds alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrt.graph import Array
from mrt.integer.learned import learn_rounding
from mrt.integer.row_blocks import row_blocks
from mrt.reproducible import cholesky, inverse_of_upper, matmul
from mrt.statistics.moments import Moments

NEAREST, COMPENSATED, LEARNED = "nearest", "compensated", "learned"

_DAMPING = 0.01
_PANEL = 64


@dataclass(frozen=True)
class Rounding:
    """How a layer's weights are rounded.

    Attributes:
        mode: NEAREST, COMPENSATED or LEARNED.
        bias_correction: whether the bias takes back what rounding adds to the mean output.
    """

    mode: str = COMPENSATED
    bias_correction: bool = True


def round_weights(flat: Array, step: Array, limit: int, moments: Moments, mode: str = COMPENSATED) -> Array:
    """Integer weights (O, K) for float weights `flat` (O, K) in units of `step` (O,), |q| <= limit.

    Columns that are zero in every row stay zero: they are padding of the kernel, not weights.
    """
    rule = learn_rounding if mode == LEARNED else _compensate
    groups = len(moments.total)
    rows = flat.reshape(groups, -1, flat.shape[1])
    steps = step.reshape(groups, -1)
    result = np.zeros(rows.shape, np.int8 if limit <= 127 else np.int32)
    for block, columns in enumerate(moments.columns):
        part = rows[:, :, columns].astype(np.float64)
        active = np.flatnonzero(np.any(part != 0, axis=(0, 1)))
        if not len(active):
            continue
        covariance = _damped(moments.covariance(block)[:, active[:, None], active[None, :]])
        result[:, :, columns.start + active] = rule(part[:, :, active], steps, limit, covariance)
    return result.reshape(flat.shape)


def mean_error(flat: Array, quantized: Array, step: Array, moments: Moments) -> Array:
    """The constant (O,) by which the rounded weights raise the layer's output on the mean input."""
    groups = len(moments.total)
    mean = moments.mean.astype(np.float64)
    owner = np.arange(len(flat)) // (len(flat) // groups)
    parts = [((quantized[r] * step[r, None] - flat[r]) * mean[owner[r]]).sum(axis=1) for r in row_blocks(flat)]
    return np.concatenate(parts)


def _damped(covariance: Array) -> Array:
    """Covariances (G, B, B), made positive definite and less sure of what few pictures say."""
    size = covariance.shape[1]
    damping = _DAMPING * np.trace(covariance, axis1=1, axis2=2) / size + 1e-12
    damped: Array = covariance + damping[:, None, None] * np.eye(size)
    return damped


def _factor(covariance: Array) -> Array:
    """Upper U with U^T U the inverse of the covariance, (G, B, B).

    U is the inverse of the upper M with M M^T = C, which is the Cholesky factor of C with its axes reversed.
    """
    lower = cholesky(covariance[:, ::-1, ::-1])
    return inverse_of_upper(np.ascontiguousarray(lower[:, ::-1, ::-1]))


def _compensate(weights: Array, step: Array, limit: int, covariance: Array) -> Array:
    """The rounding loop on (G, R, B) weights, in panels so that most of the compensation is matrix multiplication."""
    factor = _factor(covariance)
    left = weights.transpose(0, 2, 1).copy()  # what belongs to one input lies together
    quantized = np.empty(left.shape)
    width = left.shape[1]
    for start in range(0, width, _PANEL):
        stop = min(start + _PANEL, width)
        errors = np.empty((left.shape[0], stop - start, left.shape[2]))
        for i in range(start, stop):
            quantized[:, i] = np.minimum(np.maximum(np.rint(left[:, i] / step), -limit), limit)
            error = errors[:, i - start] = (left[:, i] - quantized[:, i] * step) / factor[:, i, i][:, None]
            left[:, i + 1 : stop] -= factor[:, i, i + 1 : stop, None] * error[:, None]
        left[:, stop:] -= matmul(factor[:, start:stop, stop:].transpose(0, 2, 1), errors)
    return quantized.transpose(0, 2, 1)
