"""Nesterov's accelerated gradient, of operators that round the same in every run."""

from __future__ import annotations

from typing import Any

import mxnet as mx


class Nesterov(mx.optimizer.NAG):  # type: ignore[misc]
    """MXNet's `nag` without its fused operator, whose last bits differ from run to run (seen in MXNet 1.9.1).

    With momentum m, rate r, decay d and gradient g, as that operator computes it: v = m s, the weight w becomes
    w - v + (1 + m) (v - r (g + d w)), and the state s becomes v - r (g + d w), of the new w.
    """

    def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
        """Change `weight` and `state` in place by one step."""
        self._update_count(index)
        rate, decay = self._get_lr(index), self._get_wd(index)
        gradient = grad * self.rescale_grad
        if state is None:
            weight -= (gradient + weight * decay) * rate
            return
        kept = state * self.momentum
        weight[:] = weight - kept + (kept - (gradient + weight * decay) * rate) * (1 + self.momentum)
        state[:] = kept - (gradient + weight * decay) * rate
