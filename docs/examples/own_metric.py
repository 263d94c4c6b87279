"""A regression, judged by a metric of one's own: python own_metric.py"""

import numpy as np
from mxnet import sym

import mrt


class MeanError:
    errors: tuple = ()

    def update(self, labels, outputs):
        self.errors = (*self.errors, *np.abs(outputs[0][:, 0] - labels))

    def values(self):
        return {"mean error": np.mean(self.errors)}


x = np.random.default_rng(0).normal(size=(256, 5))
net = sym.FullyConnected(sym.Variable("data"), num_hidden=1, no_bias=True, name="dense")
model = mrt.quantize((net, {"dense_weight": np.arange(5.0)[None]}), x[:128])
print(model.evaluate((x[128:], x[128:] @ np.arange(5)), metric=MeanError).accuracy)
