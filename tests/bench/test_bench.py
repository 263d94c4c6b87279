from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from cvm.package import save_package
from toolchain import compile_network, pictures, random_network

from bench.engines import ENGINES, OURS, side_by_side
from bench.export import export, verify
from bench.networks import pool_means, write_float
from bench.report import markdown, plot, rival
from bench.results import Machine, Memory, Network, Results, Timing
from bench.rounds import BenchError, Effort, Process, best, compare, median, ratio
from mrt.datasets import Synthetic, get
from mrt.errors import MRTError
from mrt.executors.mxnet import Executor, infer_shapes
from mrt.targets.cvm.description import describe
from mrt.transform import PREPARE, PassManager

ROOT = Path(__file__).resolve().parents[2]


def small_network() -> Any:
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8, pad=(1, 1), name="conv")
    net = mx.sym.Activation(net, act_type="relu", name="relu")
    net = mx.sym.Pooling(net, global_pool=True, pool_type="avg", kernel=(1, 1), name="pool")
    return random_network(mx.sym.FullyConnected(net, num_hidden=5, name="dense"), (-1, 3, 8, 8))


def test_means_become_pooling_and_nothing_else_changes() -> None:
    prepared = PassManager(PREPARE).run(small_network())
    assert "sum" in [node.op for node in prepared.nodes()]
    pooled = pool_means(prepared)
    operators = [node.op for node in pooled.nodes()]
    assert "sum" not in operators and operators.count("Pooling") == 1
    data = pictures(prepared, 4, seed=1)
    np.testing.assert_allclose(Executor(pooled)(data)[0], Executor(prepared)(data)[0], rtol=1e-5, atol=1e-6)


def test_a_sum_that_is_no_mean_stays() -> None:
    half = mx.sym.var("half", shape=(1, 1, 1, 1))
    total = mx.sym.broadcast_mul(mx.sym.sum(mx.sym.var("data"), axis=(2, 3), keepdims=True), half)
    network = random_network(total, (-1, 3, 8, 8), half=np.array(0.5))
    assert [node.op for node in pool_means(network).nodes()] == [node.op for node in network.nodes()]


def test_the_peers_get_the_network_itself(tmp_path: Path) -> None:
    """As ONNX, to the last operator: those of dense prediction in particular, with sizes that do not divide."""
    data = mx.sym.var("data")
    net = mx.sym.Pad(data, mode="constant", pad_width=(0, 0, 0, 0, 0, 1, 0, 1), name="pad")
    net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=6, stride=(2, 2), name="conv")
    net = mx.sym.Deconvolution(net, kernel=(4, 4), num_filter=5, stride=(2, 2), pad=(1, 1), name="up")
    small = mx.sym.contrib.AdaptiveAvgPooling2D(net, output_size=3, name="regions")
    small = mx.sym.contrib.BilinearResize2D(small, height=7, width=10, align_corners=False, name="half_pixel")
    net = mx.sym.contrib.BilinearResize2D(net, height=7, width=10, name="aligned")
    rows = mx.sym.Flatten(mx.sym.transpose(small, axes=(0, 2, 3, 1), name="last"), name="rows")
    network = random_network(mx.sym.Group([mx.sym.Concat(net, small, dim=1, name="joined"), rows]), (-1, 3, 10, 16))
    given = pictures(network, 2, seed=3)
    write_float(tmp_path, network, given)
    shapes = {value.name: shape for value, shape in infer_shapes(network).items()}
    (tmp_path / "shapes.json").write_text(json.dumps(shapes))
    export(tmp_path)
    verify(tmp_path)
    np.save(tmp_path / "outputs.npy", side_by_side(Executor(network)(given + 1)))
    with pytest.raises(MRTError, match="away from the float network's"):
        verify(tmp_path)


def test_summaries_of_turns() -> None:
    turns = [[3.0, 1.0, 2.0], [5.0, 4.0, 6.0], [9.0]]
    assert median(turns) == 5.0
    assert best(turns) == 2.0
    # A machine that is twice as slow in one round than in another changes times, not the ratio.
    assert ratio([[1.0], [2.0], [4.0]], [[2.0], [4.0], [8.0]]) == 0.5


class Turns:
    """A worker that takes no time."""

    def __init__(self, engine: str, order: list[str]) -> None:
        self.engine = engine
        self._order = order

    def turn(self, effort: Effort) -> list[float]:
        self._order.append(self.engine)
        return [float(len(self._order))] * effort.runs


def test_each_round_starts_with_another_engine() -> None:
    order: list[str] = []
    found = compare([Turns(name, order) for name in "abc"], Effort(rounds=3, seconds=0, runs=2))  # type: ignore[misc]
    assert "".join(order) == "abcbcacab"
    assert found["a"] == [[1.0, 1.0], [6.0, 6.0], [8.0, 8.0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a worker reads of a network: its compiled model, pictures, and the float network's outputs."""
    compiled = compile_network(small_network())
    folder = tmp_path_factory.mktemp("small")
    description = describe(compiled.model, compiled.quantized, Synthetic(get("cifar10"), (-1, 3, 8, 8)))
    save_package(folder / "model", compiled.model, description, np.zeros(compiled.model.input_shape, np.int8))
    data = pictures(compiled.network, 4, seed=2)
    np.save(folder / "pictures.npy", data)
    np.save(folder / "outputs.npy", Executor(compiled.network)(data)[0])
    return folder


def worker(folder: Path) -> Process:
    return Process(OURS, Path(sys.executable), ROOT, 1, folder / "log")


def process_state(process: Process) -> str:
    status = Path(f"/proc/{process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0]


def test_a_worker_times_runs_and_is_stopped_between_requests(folder: Path, tmp_path: Path) -> None:
    with worker(tmp_path) as process:
        assert process.load(folder, batch=2) > 0.99
        seconds = process.turn(Effort(rounds=1, seconds=0.01, runs=5))
        assert len(seconds) >= 5 and min(seconds) > 0
        deadline = time.monotonic() + 10
        while process_state(process) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process_state(process) == "T"
        assert process.turn(Effort(rounds=1, seconds=0, runs=1))
    assert not Path(f"/proc/{process.pid}/stat").exists()


def test_an_engine_that_computes_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    outputs = np.load(other / "outputs.npy")
    np.save(other / "outputs.npy", -outputs)
    with worker(tmp_path) as process, pytest.raises(BenchError, match=r"cvm, other: correlation -(0\.9|1\.0)"):
        process.load(other, batch=2)


def test_a_worker_that_dies_is_named(tmp_path: Path) -> None:
    with worker(tmp_path) as process, pytest.raises(BenchError, match=r"cvm: its process ended; see .*log"):
        process.load(tmp_path / "nowhere", batch=1)
    assert "nowhere" in (tmp_path / "log").read_text()


def results(ours: float = 0.010) -> Results:
    milliseconds = dict(zip(ENGINES, (80.0, 20.0, 40.0, 16.0, 40.0, 12.5)))
    single = {name: Timing(ms / 1e3, ms / 1e3, 1e3 * ours / ms, 0.99) for name, ms in milliseconds.items()}
    single[OURS] = Timing(ours, ours, 1.0, 0.99)
    many = {name: Timing(16 * timing.median, 0.0, timing.ours, 0.99) for name, timing in single.items()}
    many[OURS] = Timing(8 * ours, 8 * ours, 1.0, 0.99)
    return Results(
        "2020-02-02",
        Machine("a processor", "Linux", 2, 0.5, "VNNI", 400e9),
        {"cvm": "1.2"},
        3,
        [Network("net", 2_000_000_000, {1: single, 16: many})],
        Memory("net", weights=20_000_000, arena=4_000_000, before=30_000_000, peak=90_000_000),
    )


def row(page: str, number: int) -> dict[str, str]:
    """The first row of a page's table, by column."""
    table = [line for line in page.splitlines() if line.startswith("|")]
    header, _, cells = table[3 * number : 3 * number + 3]
    return dict(zip(*([cell.strip() for cell in line.strip("|").split("|")] for line in (header, cells))))


def test_the_page_says_what_was_measured() -> None:
    page = markdown(results())
    latency, throughput = row(page, 0), row(page, 1)
    assert rival(results().networks[0].batches[1]) == "OpenVINO int8"
    assert latency["ratio"] == "0.80"  # 10 ms by OpenVINO's 12.5 ms
    assert latency["MXNet fp32 / cvm"] == "8.0"
    assert latency["of peak"] == "50%"  # 2 G multiply-adds in 10 ms are 200 G of 400 G per second
    assert (latency["ONNX Runtime int8"], latency["GMAC"]) == ("16.00 (16.00)", "2.00")
    assert (throughput["cvm"], throughput["cvm: times one picture's rate"]) == ("200", "2.00")
    assert "within 1.5 x (weights + arena) + 64 MB = 100 MB" in page


def test_results_survive_their_file() -> None:
    assert Results.from_json(results().to_json()) == results()
    assert json.loads(results().to_json())["networks"][0]["batches"]["16"][OURS]["median"] == 0.08


def test_the_plot_is_a_picture() -> None:
    assert plot(results()).startswith(b"\x89PNG")


def test_the_page_in_docs_is_that_of_its_results() -> None:
    stored = ROOT / "docs" / "bench.json"
    if not stored.is_file():
        pytest.skip("docs/bench.json is not there: `make bench` writes it")
    assert (ROOT / "docs" / "bench.md").read_text() == markdown(Results.from_json(stored.read_text()))
