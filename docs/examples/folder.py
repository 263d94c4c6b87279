"""Trains a network on a folder of pictures, quantizes, saves, runs it: python folder.py PICTURES MODEL_DIR PICTURE"""

import sys

import cvm
from mxnet import gluon
from mxnet.gluon.contrib.estimator import Estimator

import mrt

data = mrt.datasets.load("folder", sys.argv[1], (-1, 1, 8, 8))
net = gluon.nn.HybridSequential()
net.add(gluon.nn.Conv2D(16, 3, activation="relu"), gluon.nn.Flatten(), gluon.nn.Dense(len(data.labels)))
net.initialize()
training = gluon.data.ArrayDataset(*next(data.batches("train", data.size("train"))))
trainer = gluon.Trainer(net.collect_params(), "adam")
estimator = Estimator(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer=trainer)
estimator.fit(gluon.data.DataLoader(training, 32), epochs=20)
model = mrt.quantize(net, data)
print(model.evaluate(data).accuracy, cvm.load(model.save(sys.argv[2])).predict(sys.argv[3]))
