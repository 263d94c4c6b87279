"""What the target refuses, each with a message that says why."""

from __future__ import annotations

import dataclasses

import cvm_models as models
import numpy as np
import pytest
from cvm import CVMError, Node, ops

ATTRIBUTES = [
    ("relu", {"axis": "1"}, "unknown attribute"),
    ("conv2d", {"kernel_size": "(1, 1)"}, "'channels' is missing"),
    ("conv2d", {"channels": "8.0", "kernel_size": "(1, 1)"}, "integer"),
    ("conv2d", {"channels": "8", "kernel_size": "1, 1"}, "tuple"),
    ("conv2d", {"channels": "8", "kernel_size": "(1, 1)", "use_bias": "yes"}, "True"),
    ("conv2d", {"channels": "8", "kernel_size": "(1,)"}, "two values"),
    ("conv2d", {"channels": "8", "kernel_size": "(1, 1)", "layout": "NHWC"}, "NCHW"),
    ("conv2d", {"channels": "8", "kernel_size": "(1, 1)", "strides": "(0, 1)"}, "outside"),
    ("max_pool2d", {"pool_size": "(2, 2)", "padding": "(2, 0)"}, "smaller than the pool"),
    ("upsampling", {"scale": "4097"}, "outside"),
    ("upsampling", {"scale": "2", "method": "BILINEAR"}, "NEAREST"),
    ("clip", {"a_min": "3", "a_max": "3"}, "less than"),
    ("cvm_clip", {"precision": "33"}, "outside"),
    ("cvm_right_shift", {"precision": "8", "shift_bit": "0"}, "outside"),
    ("take", {"axis": "none"}, "integer"),
    ("sum", {"dtype": "complex"}, "unknown"),
    ("tile", {"reps": "()"}, "empty"),
    ("repeat", {"repeats": "0"}, "at least 1"),
    ("strided_slice", {"begin": "(0,)"}, "'end' is missing"),
    ("strided_slice", {"begin": "(None,)", "end": "(1,)"}, "integer"),
    ("expand_dims", {"axis": "99999999999"}, "integer"),
    ("non_max_suppression", {"iou_threshold": "0"}, "positive"),
    ("non_max_suppression", {"return_indices": "True"}, "False"),
    ("non_max_suppression", {"coord_start": "0"}, "must be 2"),
]


@pytest.mark.parametrize(("name", "attrs", "message"), ATTRIBUTES)
def test_bad_attributes_are_refused(name, attrs, message):
    with pytest.raises(CVMError, match=message):
        ops.get(name).parse(attrs)


@pytest.mark.parametrize("text", ["(1, 2)", "[1,2]", " ( 1 ,2 , ) "])
def test_every_spelling_of_a_tuple_is_read(text):
    assert ops.get("transpose").parse({"axes": text}).axes == (1, 2)


def test_spellings_of_other_attributes():
    assert ops.get("transpose").parse({"axes": "()"}).axes == ()
    assert ops.get("squeeze").parse({"axis": "(2,)"}).axis == (2,)
    assert ops.get("take").parse({"axis": "None"}).axis is None
    assert ops.get("sum").parse({"keepdims": "1", "exclude": "0"}).keepdims is True


CONV = {"channels": "4", "kernel_size": "(3, 3)", "use_bias": "False"}
GROUPED = {"channels": "4", "kernel_size": "(1, 1)", "groups": "3", "use_bias": "0"}
WIDE_STEPS = {"pool_size": "(2, 2)", "strides": "(3, 3)", "padding": "(1, 1)", "ceil_mode": "1"}
SHAPES = [
    ("conv2d", CONV, [(1, 2, 2, 9), (4, 2, 3, 3)], "exceeds"),
    ("conv2d", CONV, [(1, 2, 9, 9), (4, 1, 3, 3)], "weight"),
    ("conv2d", {"channels": "4", "kernel_size": "(3, 3)"}, [(1, 2, 9, 9), (4, 2, 3, 3)], "needs 3 inputs"),
    ("conv2d", GROUPED, [(1, 2, 9, 9), (4, 1, 1, 1)], "groups"),
    ("dense", {"units": "2", "use_bias": "0"}, [(1, 65536), (2, 65536)], "65536"),
    ("dense", {"units": "2", "use_bias": "0"}, [(1, 2, 3), (2, 3)], "2-D"),
    ("max_pool2d", WIDE_STEPS, [(1, 1, 2, 2)], "beyond"),
    ("elemwise_add", {}, [(2, 3), (1, 3)], "differ"),
    ("broadcast_add", {}, [(2, 3), (2,)], "broadcast"),
    ("concatenate", {"axis": "1"}, [(2, 3), (3, 3)], "cannot join"),
    ("concatenate", {"axis": "2"}, [(2, 3), (2, 3)], "outside"),
    ("reshape", {"shape": "(5, -1)"}, [(2, 3)], "does not fit"),
    ("reshape", {"shape": "(-1, -1)"}, [(2, 3)], "only one"),
    ("reshape", {"shape": "(-5,)"}, [(2, 3)], "unknown code"),
    ("reshape", {"shape": "(-4, -1, -1)"}, [(2, 3)], "both"),
    ("squeeze", {"axis": "(0,)"}, [(2, 3)], "size 1"),
    ("transpose", {"axes": "(0, 0)"}, [(2, 3)], "repeat"),
    ("transpose", {"axes": "(0,)"}, [(2, 3)], "match"),
    ("expand_dims", {"axis": "0", "num_newaxis": "5"}, [(2, 3)], "1 to 6 dimensions"),
    ("repeat", {"repeats": "16777216"}, [(2, 3)], "2\\^24"),
    ("tile", {"reps": "(4096, 4096, 4096)"}, [(2, 3, 1)], "2\\^30"),
    ("strided_slice", {"begin": "(2,)", "end": "(1,)"}, [(4,)], "empty"),
    ("strided_slice", {"begin": "(0,)", "end": "(1,)", "stride": "(0,)"}, [(4,)], "is 0"),
    ("slice_like", {}, [(2, 3), (3, 3)], "exceeds"),
    ("sum", {"axis": "(1, -1)"}, [(2, 3)], "repeats"),
    ("take", {"axis": "2"}, [(2, 3), (1,)], "outside"),
    ("cvm_lut", {"in_dim": "5"}, [(2, 3), (4,)], "in_dim"),
    ("where", {}, [(3,), (2, 3), (2, 3)], "condition"),
    ("get_valid_counts", {}, [(1, 4, 32)], "31"),
    ("non_max_suppression", {}, [(1, 4, 5), (1,)], "6"),
    ("relu", {}, [(2, 3), (2, 3)], "expects 1 inputs, got 2"),
    ("relu", {}, [(1, 2**24 + 1)], "2\\^24"),
    ("relu", {}, [()], "dimensions"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attrs", "shapes", "message"), SHAPES)
def test_bad_shapes_are_refused(name, attrs, shapes, message):
    with pytest.raises(CVMError, match=message):
        ops.get(name).infer_shape(attrs, shapes)


PRECISIONS = [
    ("conv2d", CONV, [9, 8], [(1, 1, 9, 9), (4, 1, 3, 3)], "exceeds 8"),
    ("dense", {"units": "1", "use_bias": "0"}, [8, 9], [(1, 1), (1, 1)], "exceeds 8"),
    ("dense", {"units": "1"}, [8, 8, 32], [(1, 1), (1, 1), (1,)], "33 is outside"),
    ("cvm_left_shift", {"precision": "8", "shift_bit": "25"}, [8], [(1,)], "exceeds 32"),
    ("elemwise_add", {}, [32, 4], [(1,), (1,)], "outside"),
    ("broadcast_mul", {}, [16, 17], [(1,), (1,)], "outside"),
    ("sum", {}, [31], [(4,)], "outside"),
    ("where", {}, [4, 5, 3], [(1,), (1,), (1,)], "condition"),
    ("broadcast_greater", {}, [1, 8], [(1,), (1,)], "at least 2"),
    ("relu", {}, [0], [(1,)], "outside"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attrs", "precisions", "shapes", "message"), PRECISIONS)
def test_bad_precisions_are_refused(name, attrs, precisions, shapes, message):
    with pytest.raises(CVMError, match=message):
        ops.get(name).infer_precision(attrs, precisions, shapes)


@pytest.mark.parametrize(
    ("attrs", "precision"),
    [({"a_min": "0", "a_max": "127"}, 9), ({"a_min": "-126", "a_max": "126"}, 8), ({"a_min": "-1", "a_max": "0"}, 3)],
)
def test_clip_infers_one_bit_more_where_its_end_plus_one_is_a_power_of_two(attrs, precision):
    assert ops.get("clip").infer_precision(attrs, [32], [(1,)]) == [precision]


@pytest.mark.parametrize("name", ["pad", "nn.relu", "add", "relu_1", ""])
def test_unknown_operators_are_refused(name):
    with pytest.raises(CVMError, match="no operator"):
        ops.get(name)


def _replace(model, index, **changes):
    model.nodes[index] = dataclasses.replace(model.nodes[index], **changes)


MODELS = {
    "no output": (lambda m: m.heads.clear(), "no output"),
    "head beyond the graph": (lambda m: m.heads.append((10, 0)), "not a node"),
    "head output": (lambda m: m.heads.append((9, 1)), "has 1 outputs"),
    "later input": (lambda m: _replace(m, 4, inputs=((4, 0),)), "'relu' .* not a node before"),
    "missing parameter": (lambda m: m.params.pop("w"), "'w' .* missing"),
    "extra parameter": (lambda m: m.params.update(v=np.zeros(1, np.int32)), "'v' belongs to no variable"),
    "stored input": (lambda m: m.params.update(data=np.zeros(1, np.int32)), "'data' belongs"),
    "missing precision": (lambda m: m.precisions.pop("w"), "'w' .* no precision"),
    "value beyond precision": (lambda m: m.precisions.update(units=5), "'units' .* leaves"),
    "plus 128": (lambda m: m.params["w"].__setitem__((0, 0, 0, 0), 128), "'w' .* leaves"),
    "minus 128": (lambda m: m.params["w"].__setitem__((0, 0, 0, 0), -128), "'w' .* leaves"),
    "float parameter": (lambda m: m.params.update(w=m.params["w"].astype(float)), "float64"),
    "attribute": (lambda m: _replace(m, 4, attrs={"a": "b"}), "'relu' .* unknown attribute"),
    "input called otherwise": (lambda m: _replace(m, 0, name="x"), "no input variable"),
    "two of a name": (lambda m: _replace(m, 2, name="w"), "two variables"),
    "not ASCII": (lambda m: (_replace(m, 1, name="é"), m.params.update({"é": m.params.pop("w")}),
                             m.precisions.update({"é": m.precisions.pop("w")})), "ASCII"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_illegal_models_are_refused_by_name_of_the_node(name):
    spoil, message = MODELS[name]
    model = models.small()
    model.infer()
    spoil(model)
    with pytest.raises(CVMError, match=message):
        model.infer()


def test_an_edge_to_a_second_output_needs_one():
    model = models.chain("relu", {})
    model.nodes.append(Node("relu", "z", ((1, 1),)))
    with pytest.raises(CVMError, match=r"'z' .* has 1 outputs"):
        model.infer()
