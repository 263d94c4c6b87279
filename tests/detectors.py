"""GluonCV's detectors, small enough for tests."""

from __future__ import annotations

import gluoncv
import mxnet as mx

from mrt.datasets import Synthetic, get
from mrt.frontends.mxnet import from_symbol
from mrt.graph import Array, Graph

sym = mx.sym
SIZE = 128


def detector(name: str) -> Graph:
    """A detector of GluonCV's, with GluonCV's initial weights."""
    mx.random.seed(0)
    with mx.name.NameManager():
        net = gluoncv.model_zoo.get_model(name, pretrained=False, pretrained_base=False)
    net.initialize()
    net(mx.nd.zeros((1, 3, SIZE, SIZE)))
    params = {key: p.data().asnumpy() for key, p in net.collect_params().items() if p._data is not None}
    symbol = net(sym.Variable("data"))
    return from_symbol(sym.Group(list(symbol)), params, {"data": (-1, 3, SIZE, SIZE)})


def pictures(count: int) -> Array:
    data = Synthetic(get("imagenet"), (-1, 3, SIZE, SIZE))
    return next(data.batches("calibration", count, 0, count))[0]
