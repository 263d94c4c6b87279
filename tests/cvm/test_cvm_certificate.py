"""The proof that int32 suffices."""

from __future__ import annotations

import json

import cvm_models as models
import numpy as np
import pytest
from cvm import Model, Node, formal
from cvm.certificate import certify
from cvm.ops import Range, get


def test_the_bound_of_a_convolution_is_reached():
    model = models.small()
    proof = next(p for p in certify(model).nodes if p.name == "conv")
    weights = model.params["w"].reshape(4, -1)
    sums = 127 * np.abs(weights).sum(axis=1)
    assert proof.accumulator == (sums + np.abs(model.params["b"])).max()
    assert (proof.low, proof.high) == ((model.params["b"] - sums).min(), (model.params["b"] + sums).max())
    reached = []
    for channel in range(4):
        x = np.zeros((1, 3, 8, 8), np.int32)
        x[0, :, 2:5, 2:5] = 127 * np.sign(model.params["w"][channel])
        formal.run(model, x, lambda node, y: reached.append(y[0].max()) if node.name == "conv" else None)
    assert max(reached) == proof.high


@pytest.mark.parametrize("seed", range(5))
def test_every_value_of_a_run_lies_in_its_proof(seed):
    model = models.small(seed)
    certificate = certify(model)
    assert certificate.ok
    proofs = {proof.name: proof for proof in certificate.nodes}

    def check(node, outputs):
        if not node.is_variable:
            assert proofs[node.name].low <= outputs[0].min() and outputs[0].max() <= proofs[node.name].high

    x = models.batch_of(model, 8, seed) * np.int32(3)
    formal.run(model, x, check)
    formal.run(model, np.sign(x) * 127, check)


def test_an_intermediate_beyond_int32_is_reported():
    shift = {"precision": "31", "shift_bit": "1"}
    model = models.chain("cvm_right_shift", shift, precision=32)
    certificate = certify(model)
    assert not certificate.ok
    assert certificate.nodes[0].accumulator == 2**31
    assert "int32 can overflow: first at node 'y'" in certificate.to_text()
    assert certify(models.chain("cvm_right_shift", shift, precision=31)).ok


def test_json_and_text_tell_the_same():
    certificate = certify(models.small())
    document = json.loads(certificate.to_json())
    assert document["ok"] is True and document["input_precision"] == 8
    assert [node["name"] for node in document["nodes"]] == ["conv", "relu", "shift", "pool", "flat", "fc"]
    lines = certificate.to_text().splitlines()
    assert len(lines) == 2 + 6 + 1
    for line, node in zip(lines[2:], document["nodes"]):
        numbers = [str(node[key]) for key in ("precision", "low", "high", "accumulator")]
        assert line.split() == [node["name"], node["op"], *numbers, "yes"]


def test_every_output_of_a_node_is_proven():
    nodes = [Node("null", "data"), Node("get_valid_counts", "v", ((0, 0),))]
    model = Model(nodes, [(1, 0), (1, 1)], {}, {"data": 8}, (1, 5, 6))
    assert [(p.output, p.low, p.high) for p in certify(model).nodes] == [(0, 0, 5), (1, -127, 127)]


def test_channels_keep_their_own_ranges():
    weight = np.array([[[[2]]], [[[-3]]], [[[0]]]], np.int32)
    attrs = {"channels": "3", "kernel_size": "(1, 1)", "use_bias": "False"}
    shapes = [(1, 1, 4, 4), (3, 1, 1, 1)]
    (y,) = get("conv2d").infer_range(attrs, [Range.of(0, 10), Range.constant(weight)], shapes)
    np.testing.assert_array_equal(y.lo.ravel(), [0, -30, 0])
    np.testing.assert_array_equal(y.hi.ravel(), [20, 0, 0])
    multiplier = Range.constant(np.array([1, 2, 3], np.int32).reshape(1, 3, 1, 1))
    (z,) = get("broadcast_mul").infer_range({}, [y, multiplier], [(1, 3, 4, 4), (1, 3, 1, 1)])
    np.testing.assert_array_equal(z.lo.ravel(), [0, -60, 0])
    (flat,) = get("flatten").infer_range({}, [z], [(1, 3, 4, 4)])
    np.testing.assert_array_equal(flat.hi.ravel(), np.repeat([20, 0, 0], 16))


def test_a_positive_input_with_padding_may_still_contribute_nothing():
    weight = Range.constant(np.ones((1, 1, 3, 3), np.int32))
    attrs = {"channels": "1", "kernel_size": "(3, 3)", "use_bias": "False", "padding": "(1, 1)"}
    (y,) = get("conv2d").infer_range(attrs, [Range.of(5, 7), weight], [(1, 1, 4, 4), (1, 1, 3, 3)])
    assert y.min() == 0 and y.max() == 63


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 0, 1), (-1, 0, 2), (0, 127, 8), (-128, 0, 9), (0, 2**31 - 1, 32)]
)
def test_bits(low, high, bits):
    assert Range.of(low, high).bits() == bits
