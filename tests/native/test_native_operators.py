"""Every operator alone, on generated attributes, shapes and extreme values: native equals formal."""

from __future__ import annotations

import cvm_cases
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal
from cvm import ops as operators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import assert_same, both_from_data, check, each_kernels, one_operator, run_native, save, values

SETTINGS = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("op", operators.names())
@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_operator(op: str, seed: int, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    case = cvm_cases.make(op, rng)
    check(tmp_path, one_operator(case, rng), values(rng, case.shapes[0], case.precisions[0]))


@pytest.mark.parametrize(
    "op", ["elemwise_add", "elemwise_sub", "broadcast_mul", "broadcast_max", "broadcast_div", "broadcast_greater"]
)
@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_operator_of_two_run_time_tensors(op: str, seed: int, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(d) for d in rng.integers(1, 20, rng.choice([2, 4])))
    model = both_from_data(cvm_cases.Case(op, {}, [shape], [int(rng.integers(2, 16))]))
    check(tmp_path, model, values(rng, shape, model.precisions["data"]))


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_weights_that_depend_on_the_input(seed: int, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(1, 6)), 5, 5)
    nodes = [
        Node("null", "data"),
        Node("strided_slice", "w", ((0, 0),), {"begin": "(0, 0, 1, 1)", "end": f"(1, {shape[1]}, 4, 4)"}),
        Node(
            "conv2d",
            "y",
            ((0, 0), (1, 0)),
            {"channels": "1", "kernel_size": "(3, 3)", "padding": "(1, 1)", "use_bias": "False"},
        ),
    ]
    check(tmp_path, Model(nodes, [(2, 0)], {}, {"data": 8}, shape), values(rng, shape, 8))


@each_kernels
@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_convolution(kernels: str, seed: int, tmp_path) -> None:
    """Channels, strides, groups, dilations, paddings and values where tails and saturation would show."""
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2, 3, 16, 33]))
    inputs, outputs = groups * int(rng.choice([1, 1, 2, 5, 16, 31])), groups * int(rng.choice([1, 1, 3, 16, 40, 65]))
    kernel, stride, pad, dilation = (
        tuple(int(v) for v in rng.integers(*ends, 2)) for ends in ((1, 6), (1, 4), (0, 4), (1, 3))
    )
    size = tuple(int(rng.integers(d * (k - 1) + 1, d * (k - 1) + 9)) for k, d in zip(kernel, dilation))
    bias = bool(rng.random() < 0.5)
    attrs = {"channels": outputs, "kernel_size": kernel, "strides": stride, "padding": pad, "dilation": dilation}
    attrs |= {"groups": groups, "use_bias": bias}
    shapes = [(2, inputs, *size), (outputs, inputs // groups, *kernel)] + [(outputs,)] * bias
    case = cvm_cases.Case("conv2d", {k: str(v) for k, v in attrs.items()}, shapes, [8, 8, 20])
    model = one_operator(case, rng)
    x = rng.choice([-127, 127], shapes[0]).astype(np.int32) if rng.random() < 0.3 else values(rng, shapes[0], 8)
    check(tmp_path, model, x, kernels=kernels)


@each_kernels
@pytest.mark.parametrize("inputs", [31, 60_000])
def test_no_block_of_groups_reads_beyond_the_last_channel(kernels: str, inputs: int, tmp_path) -> None:
    """The last of 17 outputs meets one group, the 16 before it 16: under `make sanitize`, it read as many channels."""
    attrs = {"channels": "17", "kernel_size": "(1, 1)", "groups": "17", "use_bias": "False"}
    case = cvm_cases.Case("conv2d", attrs, [(1, 17 * inputs, 1, 1), (17, inputs, 1, 1)], [8, 8])
    rng = np.random.default_rng(inputs)
    check(tmp_path, one_operator(case, rng), values(rng, case.shapes[0], 8), kernels=kernels)


@pytest.mark.parametrize(("channels", "width"), [(38, 256), (41, 250)])
@pytest.mark.parametrize("narrow", [False, True])
def test_an_output_larger_than_the_cache(channels: int, width: int, narrow: bool, tmp_path) -> None:
    """Which is written past it, in whole lines where rows are made of these; int8 at a precision of 8 bits."""
    size = (1, 3, 1024 if narrow else 256, width)
    nodes = [
        Node("null", "data"),
        Node("null", "w"),
        Node(
            "conv2d", "c", ((0, 0), (1, 0)), {"channels": str(channels), "kernel_size": "(1, 1)", "use_bias": "False"}
        ),
        Node(
            "cvm_right_shift",
            "y",
            ((2, 0),),
            {"precision": "8" if narrow else "20", "shift_bit": "8" if narrow else "1"},
        ),
    ]
    rng = np.random.default_rng(channels)
    weights = rng.integers(-127, 128, (channels, 3, 1, 1)).astype(np.int32)
    model = Model(nodes, [(3, 0)], {"w": weights}, {"data": 8, "w": 8}, size)
    (output,) = check(tmp_path, model, values(rng, size, 8))
    assert output.size * (1 if narrow else 4) > 2**23


@each_kernels
def test_longest_sums(kernels: str, tmp_path) -> None:
    """Nearly 2^31 in one accumulator: no kernel may saturate or lose a carry."""
    for sign in (1, -1):
        nodes = [
            Node("null", "data"),
            Node("null", "w"),
            Node("dense", "y", ((0, 0), (1, 0)), {"units": "17", "use_bias": "False"}),
        ]
        weights = np.full((17, 65535), sign * 127, np.int32)
        model = Model(nodes, [(2, 0)], {"w": weights}, {"data": 8, "w": 8}, (1, 65535))
        x = np.full((2, 65535), 127, np.int32)
        (y,) = run_native(save(tmp_path, model), x, kernels=kernels)
        assert (y == sign * 127 * 127 * 65535).all()


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4))
def test_chain_of_shape_operators(seed: int, count: int, tmp_path) -> None:
    """Operators without a kernel between some that have one: layouts convert back and forth."""
    rng = np.random.default_rng(seed)
    nodes = [Node("null", "data")]
    shape: tuple[int, ...] = (2, 3, 4, 5)
    model = Model(nodes, [(0, 0)], {}, {"data": 8}, shape)
    for i in range(count):
        op = str(
            rng.choice(
                [
                    "transpose",
                    "reshape",
                    "repeat",
                    "tile",
                    "strided_slice",
                    "relu",
                    "negative",
                    "abs",
                    "flatten",
                    "cvm_clip",
                ]
            )
        )
        attrs = {
            "transpose": {"axes": str(tuple(int(a) for a in rng.permutation(len(shape))))},
            "reshape": {"shape": str(tuple(int(d) for d in rng.permutation(shape)))},
            "repeat": {"repeats": "2", "axis": str(int(rng.integers(len(shape))))},
            "tile": {"reps": "(2,)"},
            "strided_slice": {"begin": "(0,)", "end": "(1,)"},
            "cvm_clip": {"precision": "6"},
        }.get(op, {})
        nodes.append(Node(op, f"n{i}", ((i, 0),), attrs))
        model.heads = [(i + 1, 0)]
        shape = model.infer().shapes[-1][0]
    check(tmp_path, model, values(rng, model.input_shape, 8))


def test_outputs_of_constants(tmp_path) -> None:
    """Heads that no input reaches, that are the input itself, and that come twice."""
    nodes = [Node("null", "data"), Node("null", "p"), Node("relu", "r", ((1, 0),))]
    params = {"p": np.array([[-5, 7]], np.int32)}
    model = Model(nodes, [(2, 0), (0, 0), (1, 0), (0, 0)], params, {"data": 8, "p": 8}, (1, 2))
    x = np.array([[3, -4]], np.int32)
    assert_same(model, run_native(save(tmp_path, model), x), formal.run(model, x))


def test_input_is_clipped_to_its_precision(tmp_path) -> None:
    model = Model([Node("null", "data"), Node("negative", "y", ((0, 0),))], [(1, 0)], {}, {"data": 4}, (1, 4))
    (y,) = run_native(save(tmp_path, model), np.array([[-128, -8, 7, 100]], np.int32))
    assert y.dtype == np.int8 and y.tolist() == [[7, 7, -7, -7]]


def test_illegal_batch_is_refused(tmp_path) -> None:
    """A reshape that fixes the batch."""
    model = Model(
        [Node("null", "data"), Node("reshape", "y", ((0, 0),), {"shape": "(2, 6)"})],
        [(1, 0)],
        {},
        {"data": 8},
        (2, 3, 2),
    )
    save(tmp_path, model)
    with pytest.raises(CVMError, match="reshape"):
        run_native(tmp_path, np.zeros((3, 3, 2), np.int32))


@each_kernels
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 16, 3, 3), (1, 150, 2, 5), (2, 1100, 1, 2), (3, 33), (2, 64)])
@pytest.mark.parametrize("bits", [8, 16, 30])
def test_largest_channel(kernels: str, shape: tuple[int, ...], bits: int, tmp_path) -> None:
    """What argmax is made of: whole blocks of channels, and what is left over."""
    rng = np.random.default_rng(bits)
    case = cvm_cases.Case("max", {"axis": "(1,)", "keepdims": "True"}, [shape], [bits])
    check(tmp_path, one_operator(case, rng), values(rng, shape, bits), kernels=kernels)
