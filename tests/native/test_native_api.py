"""The Python interface of the native runtime."""

from __future__ import annotations

import subprocess
import sys
import threading

import native_models
import numpy as np
import pytest
from cvm import CVMError, Model, Node, formal, load
from cvm.__main__ import main
from cvm.package import save_package
from native_compare import counts_memory, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("net"), native_models.cifar_resnet20())


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).integers(-127, 128, (9, 3, 32, 32)).astype(np.int8)


@pytest.fixture(scope="module")
def want(batch):
    return formal.run(native_models.cifar_resnet20(), batch.astype(np.int32))[0]


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_threads_do_not_change_results(folder, batch, want, threads) -> None:
    model = load(folder, threads=threads)
    np.testing.assert_array_equal(model(batch), want)


def test_any_batch_size_of_one_model(folder, batch, want) -> None:
    model = load(folder)
    for count in (1, 9, 2, 3, 4, 5, 6, 7, 8, 1, 9):
        np.testing.assert_array_equal(model(batch[:count]), want[:count])


def test_input_types_and_layouts(folder, batch, want) -> None:
    model = load(folder)
    for x in (batch.astype(np.int32), batch.astype(np.int64), batch.astype(np.int16), np.asfortranarray(batch)):
        np.testing.assert_array_equal(model(x), want)
    np.testing.assert_array_equal(model(batch[::-2]), want[::-2])
    np.testing.assert_array_equal(model(batch.astype(np.int64) * 2**40), model(np.sign(batch) * np.int8(127)))
    positive = np.abs(batch)
    np.testing.assert_array_equal(model(positive.astype(np.uint8)), model(positive))


def test_unknown_kernels_are_refused(folder, monkeypatch) -> None:
    monkeypatch.setenv("CVM_KERNELS", "avx1024")
    with pytest.raises(CVMError, match=r"CVM_KERNELS=avx1024: there are avx512, .*neon and portable"):
        load(folder)


def test_parallel_calls(folder, batch, want) -> None:
    """Several Python threads, one shared model and one of their own each."""
    shared, failures = load(folder, threads=2), []

    def work(seed: int) -> None:
        own = load(folder, threads=1 + seed % 3)
        for i in range(12):
            at = (seed + i) % 8
            for model in (shared, own):
                if not np.array_equal(model(batch[at : at + 2]), want[at : at + 2]):
                    failures.append((seed, i))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_several_heads_are_a_tuple(tmp_path) -> None:
    nodes = [Node("null", "data"), Node("relu", "r", ((0, 0),)), Node("elemwise_add", "s", ((0, 0), (1, 0)))]
    save(tmp_path, Model(nodes, [(1, 0), (2, 0)], {}, {"data": 8}, (1, 3)))
    first, second = load(tmp_path)(np.array([[-3, 0, 4]], np.int8))
    assert first.dtype == second.dtype == np.int32  # the second needs 9 bits
    assert first.tolist() == [[0, 0, 4]] and second.tolist() == [[-3, 0, 8]]


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((1, 3, 32, 31), np.int8),
        np.zeros((3, 32, 32), np.int8),
        np.zeros((0, 3, 32, 32), np.int8),
        np.zeros((1, 3, 32, 32)),
    ],
)
def test_wrong_input_is_one_line(folder, x) -> None:
    with pytest.raises(CVMError) as error:
        load(folder)(x)
    assert "\n" not in str(error.value)


def test_wrong_arguments(folder, tmp_path) -> None:
    with pytest.raises(CVMError, match="threads=0"):
        load(folder, threads=0)
    with pytest.raises(CVMError, match="not a model directory"):
        load(tmp_path / "absent")
    with pytest.raises(CVMError, match="symbol"):
        load(tmp_path)


def test_plan_reports_steps(folder) -> None:
    plan = load(folder).plan(4)
    assert plan["input"] == [4, 3, 32, 32] and plan["arena_bytes"] > 0
    assert sum(step["macs"] for step in plan["steps"]) == 4 * 40_813_184  # the published multiply-adds of the network
    assert any(step["title"].startswith("conv2d + cvm_clip + broadcast_mul") for step in plan["steps"])


def test_profile_covers_every_step(folder, batch) -> None:
    model = load(folder)
    seconds = model.profile(batch[:1])
    assert len(seconds) == len(model.plan()["steps"]) and all(s >= 0 for s in seconds)


EXT = {
    "producer": "test",
    "input": {"name": "data", "shape": [-1, 2], "precision": 8, "scale": "1/32", "scale_float": 0.03125},
    "outputs": [{"name": "y", "shape": [-1, 2], "precision": 8, "scale": ["1/4", "3/2"], "offset": 127}],
}


@pytest.mark.filterwarnings("ignore:input .data.")  # it saturates on purpose
def test_quantize_and_dequantize(tmp_path) -> None:
    save_package(
        tmp_path,
        Model([Node("null", "data"), Node("negative", "y", ((0, 0),))], [(1, 0)], {}, {"data": 8}, (1, 2)),
        EXT,
        None,
    )
    model = load(tmp_path)
    q = model.quantize_input(np.array([[1.0, -0.015625], [0.015625, 99.0]]))
    assert q.dtype == np.int8 and q.tolist() == [[32, 0], [1, 127]]  # halves go up, large values are clipped
    assert model.dequantize_output(np.array([[-127, -125]], np.int8)).tolist() == [[0.0, 3.0]]


def test_without_scales_there_is_no_quantization(tmp_path) -> None:
    model = Model([Node("null", "data"), Node("negative", "y", ((0, 0),))], [(1, 0)], {}, {"data": 8}, (1, 2))
    save(tmp_path, model)
    with pytest.raises(CVMError, match="no scale for input"):
        load(tmp_path).quantize_input(np.zeros((1, 2)))
    with pytest.raises(CVMError, match="no scale for output 0"):
        load(tmp_path).dequantize_output(np.zeros((1, 2)))


def test_inspect_shows_the_plan(folder, capsys) -> None:
    assert main(["inspect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "ending" in text and "tensor bytes" in text and "bytes of arena" in text


@counts_memory
def test_memory_stays_near_weights_and_arena(tmp_path) -> None:
    """Peak of a process that loads ResNet-50 and runs it: under 1.5 x (weights + arena) + 64 MB."""
    save(tmp_path, native_models.resnet50())
    code = (
        "import sys, numpy, cvm\n"
        "model = cvm.load(sys.argv[1])\n"
        "model(numpy.zeros((1, 3, 224, 224), numpy.int8))\n"
        "plan = model.plan()\n"
        "peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')) * 1024\n"
        "print(peak, plan['arena_bytes'] + plan['constant_bytes'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    peak, planned = map(int, done.stdout.split())
    assert peak < 1.5 * planned + 64e6
