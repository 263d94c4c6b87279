"""Detectors in integers down to the boxes, on GluonCV's graphs."""

from __future__ import annotations

import numpy as np
import pytest
from cvm import formal
from cvm.certificate import certify
from detectors import detector, pictures

from mrt.calibrate.calibrator import calibrate
from mrt.executors.mxnet import Executor
from mrt.executors.symbol import to_symbol
from mrt.frontends.mxnet import from_symbol
from mrt.integer.tensor_info import dequantize, quantize_input
from mrt.quantizer.quantize import quantize
from mrt.run.seeded import structural_network
from mrt.targets.cvm.compiler import compile_model
from mrt.transform import PREPARE, PassManager


@pytest.mark.parametrize("name", ["ssd_512_mobilenet1.0_voc", "yolo3_mobilenet1.0_voc"])
def test_both_executors_give_the_same_boxes(name: str) -> None:
    network, data = structural_network(detector(name), pictures(4)), pictures(2)
    prepared = PassManager(PREPARE, verify=data).run(network)
    quantized = quantize(prepared, calibrate(prepared, [data]))
    model = compile_model(quantized)
    assert certify(model).ok
    assert {"get_valid_counts", "non_max_suppression"} <= {node.op for node in model.nodes}
    integers = quantize_input(data[:1], quantized.input)
    found = formal.run(model, integers)
    graph = quantized.graph
    for executed in (graph, from_symbol(to_symbol(graph), graph.params, graph.inputs)):
        for expected, array in zip(Executor(executed, dtype="float64")(integers), found):
            np.testing.assert_array_equal(array, expected)
    numbers, scores, corners = (dequantize(array, info) for array, info in zip(found, quantized.outputs))
    assert [array.shape for array in (numbers, scores, corners)] == [(1, 100, 1), (1, 100, 1), (1, 100, 4)]
    assert set(np.unique(numbers)) <= set(range(-1, 20))
    (_, expected_scores, _) = Executor(network)(data[:1])
    np.testing.assert_allclose(scores[0, :10], expected_scores[0, :10], atol=0.15)
