"""A network of a picture and a vector, quantized, saved and run: python two_inputs.py MODEL_DIR"""

import sys

import cvm
import numpy as np
from mxnet import sym

import mrt

random = np.random.default_rng(0)
conv = sym.Convolution(sym.Variable("data"), kernel=(3, 3), num_filter=8, no_bias=True, name="conv")
joined = sym.concat(sym.mean(conv, axis=(2, 3)), sym.Variable("extra"), dim=1)
net = sym.FullyConnected(joined, num_hidden=4, no_bias=True, name="dense")
params = {"conv_weight": random.normal(size=(8, 3, 3, 3)), "dense_weight": random.normal(size=(4, 15))}
data = {"data": random.normal(size=(64, 3, 16, 16)), "extra": random.normal(size=(64, 7))}
model = mrt.quantize((net, params), data)
print(f"{model.sqnr(data):.1f} dB", model(data).shape)
compiled = cvm.load(model.save(sys.argv[1]))
print(compiled.dequantize_output(compiled(compiled.quantize_input(data)))[:2])
