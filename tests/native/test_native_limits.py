"""What a model may take: memory, operations and time, whoever made it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import cvm_cases
import native_models
import numpy as np
import pytest
from cvm import Cancelled, CVMError, LimitError, Model, Node, formal, load
from cvm import ops as operators
from cvm.__main__ import main
from cvm.runtime import Cancel
from native_compare import counts_memory, one_operator, save

PATIENCE = 3.0  # seconds: the machine may be busy; without a limit these models run for minutes


def folding(doublings: int = 9) -> Model:
    """A parameter of one element that is tiled to 2^20 and doubled: 2.6 kB that fold to gigabytes."""
    nodes = [Node("null", "data"), Node("null", "p"), Node("tile", "t", ((1, 0),), {"reps": "(1024, 1024)"})]
    for i in range(doublings):
        nodes.append(Node("repeat", f"r{i}", ((len(nodes) - 1, 0),), {"axis": "0", "repeats": "2"}))
    nodes.append(Node("slice_like", "s", ((len(nodes) - 1, 0), (0, 0))))
    return Model(nodes, [(len(nodes) - 1, 0)], {"p": np.ones((1, 1), np.int32)}, {"data": 8, "p": 8}, (2, 2))


def suppression() -> Model:
    nodes = [
        Node("null", "data"),
        Node("repeat", "r", ((0, 0),), {"axis": "1", "repeats": "1000000"}),
        Node("get_valid_counts", "g", ((1, 0),), {"score_threshold": "-5"}),
        Node("non_max_suppression", "n", ((2, 1), (2, 0)), {"force_suppress": "True", "iou_threshold": "101"}),
        Node("max", "m", ((3, 0),)),
    ]
    return Model(nodes, [(4, 0)], {}, {"data": 8}, (1, 1, 6))


def pooling() -> Model:
    nodes = [
        Node("null", "data"),
        Node("upsampling", "u", ((0, 0),), {"scale": "512"}),
        Node("max_pool2d", "p", ((1, 0),), {"pool_size": "(500, 500)"}),
        Node("max", "m", ((2, 0),), {"axis": "(2, 3)"}),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": 8}, (1, 1, 4, 4))


def tiling() -> Model:
    nodes = [
        Node("null", "data"),
        Node("tile", "t", ((0, 0),), {"reps": "(1, 4096, 4096)"}),
        Node("tile", "u", ((1, 0),), {"reps": "(1, 2, 1)"}),
        Node("sum", "s", ((2, 0),), {"axis": "(1,)"}),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": 3}, (1, 2, 2))


def taking() -> Model:
    nodes = [
        Node("null", "data"),
        Node("tile", "t", ((0, 0),), {"reps": "(4096, 4096)"}),
        Node("take", "k", ((0, 0), (1, 0))),
        Node("sum", "s", ((2, 0),)),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": 3}, (4, 4))


def multiplying() -> Model:
    """A convolution whose weights come from the input: by its scalar definition."""
    nodes = [
        Node("null", "data"),
        Node("upsampling", "u", ((0, 0),), {"scale": "256"}),
        Node("strided_slice", "w", ((1, 0),), {"begin": "(0, 0, 0, 0)", "end": "(1, 1, 500, 500)"}),
        Node("conv2d", "c", ((1, 0), (2, 0)), {"channels": "1", "kernel_size": "(500, 500)", "use_bias": "False"}),
    ]
    return Model(nodes, [(3, 0)], {}, {"data": 2}, (1, 1, 4, 4))


SLOW = {f.__name__: f for f in (suppression, pooling, tiling, taking, multiplying)}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_timeout_ends_any_operator(name: str, threads: int, tmp_path) -> None:
    model = load(save(tmp_path, SLOW[name]()), threads=threads, max_memory=2**33)
    x = np.ones(model.input_shape, np.int8)
    start = time.monotonic()
    with pytest.raises(Cancelled, match=r"took longer than its timeout of 0\.2 seconds"):
        model(x, timeout=0.2)
    assert time.monotonic() - start < PATIENCE


def test_a_run_is_cancelled_from_another_thread(tmp_path) -> None:
    model = load(save(tmp_path, suppression()), threads=2)
    x, cancel = np.ones(model.input_shape, np.int8), Cancel()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled, match="was cancelled"):
        model(x, cancel=cancel)
    assert time.monotonic() - start < PATIENCE
    with pytest.raises(Cancelled, match="was cancelled"):  # for good
        model(x, cancel=cancel)


def test_a_model_that_was_stopped_can_be_used_again(tmp_path) -> None:
    net = native_models.mobilenet(96)
    model = load(save(tmp_path, net), threads=2)
    x = np.random.default_rng(0).integers(-127, 128, (5, 3, 96, 96)).astype(np.int8)
    want = formal.run(net, x.astype(np.int32))[0]
    for _ in range(20):
        with pytest.raises(Cancelled):
            model(x, timeout=0.0)
    np.testing.assert_array_equal(model(x, timeout=60.0, cancel=Cancel()), want)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout: float, tmp_path) -> None:
    model = load(save(tmp_path, folding(0)))
    with pytest.raises(CVMError, match="must be a number of seconds"):
        model(np.zeros((2, 2), np.int8), timeout=timeout)


def test_constants_do_not_fold_beyond_their_worth(tmp_path) -> None:
    """The default limit stops what the doublings want; loading takes neither time nor memory."""
    start = time.monotonic()
    model = load(save(tmp_path, folding()))
    assert time.monotonic() - start < PATIENCE
    with pytest.raises(LimitError, match=r"arena of a run of 322.* bytes.* would exceed max_memory=2147483648"):
        model(np.zeros((2, 2), np.int8))
    small = load(save(tmp_path, folding(2)))
    np.testing.assert_array_equal(small(np.zeros((2, 2), np.int8)), np.ones((2, 2), np.int8))


def test_parameters_count_before_they_are_read(tmp_path) -> None:
    folder = save(tmp_path, native_models.squeezenet(75))
    size = (folder / "params").stat().st_size
    with pytest.raises(LimitError, match=f"params of {size} bytes would exceed max_memory={size // 2}"):
        load(folder, max_memory=size // 2)


@counts_memory
def test_the_limit_is_kept(tmp_path) -> None:
    """The process never takes much more than it was allowed."""
    folder = save(tmp_path, native_models.resnet18(224))
    code = (
        "import sys, numpy, cvm, cvm.runtime\n"
        "def peak():\n"
        "    return next(int(x.split()[1]) for x in open('/proc/self/status') if x.startswith('VmHWM')) * 1024\n"
        "before, least, x = peak(), int(sys.argv[2]), numpy.ones((1, 3, 224, 224), numpy.int8)\n"
        "try:\n    cvm.load(sys.argv[1], max_memory=least, threads=1)(x)\n    print('ran', peak() - before)\n"
        "except cvm.LimitError:\n    print('refused', peak() - before)\n"
    )
    seen = set()
    for limit in (2**23, 2**24, 2**25, 2**26, 2**27):
        command = [sys.executable, "-c", code, str(folder), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        outcome, taken = done.stdout.split()
        seen.add(outcome)
        assert int(taken) < limit + 2**24, (limit, outcome)
    assert seen == {"ran", "refused"}


def test_what_is_kept_gives_way(tmp_path) -> None:
    """Plans and arenas of earlier batch sizes are no reason to refuse a run that would fit alone."""
    net = native_models.cifar_resnet20()
    folder = save(tmp_path, net)
    x = np.random.default_rng(1).integers(-127, 128, (6, 3, 32, 32)).astype(np.int8)
    want = formal.run(net, x.astype(np.int32))[0]
    limit = next(limit for limit in range(2**20, 2**25, 2**18) if _runs(folder, x, limit))
    model = load(folder, threads=1, max_memory=limit)
    for count in (1, 6, 2, 5, 3, 4, 6):
        np.testing.assert_array_equal(model(x[:count]), want[:count])


def _runs(folder: Path, x: np.ndarray, limit: int) -> bool:
    try:
        load(folder, threads=1, max_memory=limit)(x)
    except LimitError:
        return False
    return True


@pytest.mark.parametrize("op", operators.names())
def test_operations_are_counted_as_the_reference_does(op: str, tmp_path) -> None:
    rng = np.random.default_rng(3)
    for _ in range(4):
        model = one_operator(cvm_cases.make(op, rng), rng)
        assert load(save(tmp_path, model)).operations() == model.operations


def test_operations_of_a_batch_are_limited(tmp_path) -> None:
    net = native_models.cifar_resnet20()
    folder, one = save(tmp_path, net), net.operations
    with pytest.raises(LimitError, match=f"{one} operations for a batch of 1 would exceed max_operations={one - 1}"):
        load(folder, max_operations=one - 1)
    model = load(folder, max_operations=one)
    model(np.zeros((1, 3, 32, 32), np.int8))
    with pytest.raises(LimitError, match="for a batch of 2"):
        model(np.zeros((2, 3, 32, 32), np.int8))


@pytest.mark.parametrize("option", ["max_memory", "max_operations"])
def test_limits_are_positive(option: str, tmp_path) -> None:
    with pytest.raises(CVMError, match=f"{option}=0: must be at least 1"):
        load(save(tmp_path, folding(0)), **{option: 0})
    load(tmp_path, **{option: 2**80})


def test_limits_on_the_command_line(tmp_path, capsys) -> None:
    folder = save(tmp_path / "model", suppression())
    np.save(tmp_path / "x.npy", np.ones((1, 1, 6), np.int8))
    run = [
        "run",
        str(folder),
        "--input",
        str(tmp_path / "x.npy"),
        "--output",
        str(tmp_path / "y.npy"),
        "--backend",
        "native",
    ]
    for extra, message in (
        (["--timeout", "0.2"], "took longer than its timeout"),
        (["--max-memory", "1000000"], "would exceed max_memory=1000000"),
        (["--max-operations", "1000"], "would exceed max_operations=1000"),
    ):
        assert main([*run, *extra]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
        assert main([*run[:-1], "formal", *extra]) == 2
        assert f"{extra[0]}: only the native backend has limits" in capsys.readouterr().err
    assert not (tmp_path / "y.npy").exists()


def _chain(op: str, attrs: dict[str, str], shape: tuple[int, ...], nodes: int) -> Model:
    chain = [Node("null", "data"), *(Node(op, f"n{i}", ((i, 0),), attrs) for i in range(nodes))]
    return Model(chain, [(nodes, 0)], {}, {"data": 8}, shape)


@pytest.mark.parametrize(
    ("op", "attrs", "shape"),
    [
        ("negative", {}, (1, 1, 2, 2)),
        ("max_pool2d", {"pool_size": "(1, 1)"}, (1, 1, 2, 2)),
        ("transpose", {"axes": "(0, 2, 1)"}, (1, 2, 2)),
        ("flatten", {}, (1, 4)),
    ],
)
def test_planning_is_nearly_linear(op: str, attrs: dict[str, str], shape: tuple[int, ...], tmp_path) -> None:
    """Six times the nodes take less than eighteen times as long, and little in all; 100,000 take under 2 s."""
    times = []
    for nodes in (2000, 12000):
        model = load(save(tmp_path, _chain(op, attrs, shape, nodes)), threads=1)
        start = time.process_time()
        model.plan()
        times.append(time.process_time() - start)
    assert times[1] < max(18 * times[0], 0.15) and times[1] < PATIENCE


def test_concatenations_in_each_other(tmp_path) -> None:
    """As deep as nodes go: no recursion, and the parts land in place."""
    depth = 3000
    nodes = [Node("null", "data"), Node("negative", "n", ((0, 0),))]
    for i in range(depth):
        nodes.append(Node("concatenate", f"c{i}", ((i + 1, 0), (1, 0)), {"axis": "1"}))
    model = Model(nodes, [(len(nodes) - 1, 0)], {}, {"data": 8}, (1, 16, 1, 1))
    x = np.arange(16, dtype=np.int32).reshape(1, 16, 1, 1)
    y = load(save(tmp_path, model), threads=1)(x)
    np.testing.assert_array_equal(y, np.tile(-x, (1, depth + 1, 1, 1)))
