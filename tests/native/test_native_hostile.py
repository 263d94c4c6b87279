"""Damaged and hostile files: the native loader refuses what the Python loader refuses, and never crashes."""

from __future__ import annotations

import copy
import json
import struct
import subprocess
import sys

import cvm_models
import native_models
import numpy as np
import pytest
from cvm import CVMError, Model, formal, format, load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_compare import counts_memory, save

SETTINGS = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

pytestmark = pytest.mark.filterwarnings("ignore:.*has no manifest.json")  # its files are written one by one


def _random() -> Model:
    return native_models.random_net(np.random.default_rng(12), 4)


class Files(tuple):
    """(symbol, params), short when a failure prints it."""

    def __repr__(self) -> str:
        return "Files"


@pytest.fixture(scope="module", params=[cvm_models.small, _random], ids=["small", "random"])
def good(request, tmp_path_factory):
    folder = save(tmp_path_factory.mktemp("good"), request.param())
    return Files(((folder / "symbol").read_bytes(), (folder / "params").read_bytes()))


def _agree(folder, symbol: bytes, params: bytes) -> bool:
    """Load with both; where both accept, the results agree too. Whether they accepted."""
    (folder / "symbol").write_bytes(symbol)
    (folder / "params").write_bytes(params)
    (folder / "ext.json").write_text("{}")
    try:
        model = format.load(folder / "symbol", folder / "params")
    except CVMError:
        model = None
    try:
        native = load(folder, threads=1)
    except CVMError as error:
        assert "\n" not in str(error)
        assert model is None, f"only the native loader refuses: {error}"
        return False
    assert model is not None, "only the Python loader refuses"
    x = np.random.default_rng(0).integers(-127, 128, model.input_shape).astype(np.int32)
    outputs = native(x)
    for got, want in zip(outputs if isinstance(outputs, tuple) else (outputs,), formal.run(model, x)):
        np.testing.assert_array_equal(got, want)
    return True


def test_undamaged_files_load(good, tmp_path) -> None:
    assert _agree(tmp_path, *good)


@SETTINGS
@given(data=st.data())
def test_damaged_params(data, good, tmp_path) -> None:
    symbol, params = good
    _agree(tmp_path, symbol, _damage(data.draw, params, 0x7FFFFFFFFFFFFFFF))


@SETTINGS
@given(data=st.data())
def test_damaged_symbol_bytes(data, good, tmp_path) -> None:
    symbol, params = good
    _agree(tmp_path, _damage(data.draw, symbol, 0x22), params)


def _damage(draw, content: bytes, word: int) -> bytes:
    """Cut, extend, overwrite a byte or a 64-bit word, or repeat a part."""
    at = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["cut", "extend", "byte", "word", "repeat", "drop"]))
    if kind == "cut":
        return content[:at]
    if kind == "extend":
        return content + bytes(draw(st.integers(1, 9)))
    if kind == "byte":
        return content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]
    if kind == "word":
        value = draw(st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**62, word]))
        return content[:at] + struct.pack("<Q", value) + content[at + 8 :]
    end = draw(st.integers(at, min(at + 40, len(content))))
    return content[:end] + content[at:] if kind == "repeat" else content[:at] + content[end:]


LEAVES: list[object] = [
    0,
    1,
    -1,
    2,
    7,
    2**31,
    2**40,
    -(2**63),
    1.5,
    True,
    None,
    "",
    "data",
    "w",
    "1",
    "0",
    "(1, 1)",
    "()",
    "(0, 0)",
    "(-1,)",
    "(2, 2, 2)",
    "True",
    "None",
    "8.0",
    "99999999999",
    "conv2d",
    "relu_3",
    "nn.relu",
    "cvm_op",
    "null",
    "{}",
    '{"a": "1"}',
    [],
    {},
    [0],
    [0, 0, 0],
    [1, 2, 3, 4],
    [1, 1000000, 1000000],
    ["list_int", []],
]


@SETTINGS
@given(data=st.data())
def test_damaged_symbol_values(data, good, tmp_path) -> None:
    """Any value of the JSON replaced, removed, doubled or swapped."""
    symbol, params = good
    document = json.loads(symbol)
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = document, data.draw(st.sampled_from(sorted(document)))
        while isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.integers(0, 9)):
            holder = holder[key]
            key = (
                data.draw(st.sampled_from(sorted(holder)))
                if isinstance(holder, dict)
                else data.draw(st.integers(0, len(holder) - 1))
            )
        kind = data.draw(st.sampled_from(["replace", "remove", "double"]))
        if kind == "replace":
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(LEAVES)))  # further damage must not reach LEAVES
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
        if not document:
            break
    _agree(tmp_path, json.dumps(document).encode(), params)


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"nodes": ' * 5000, b'"\xff', b"\x00", b"{} {}", b'{"a":1,"a":2}', b"-", b"01", b'"\\ud800"'],
)
def test_hostile_json(text, good, tmp_path) -> None:
    assert not _agree(tmp_path, text, good[1])


@counts_memory
def test_a_claim_without_bytes_takes_no_memory(good, tmp_path) -> None:
    """2^30 int32 elements and 2^60 names claimed in small files, under a limit of 1 GiB of address space on top."""
    claim = struct.pack("<QQQQ", 0xF7E58D4F05049CB7, 0, 1, 1) + b"w" + struct.pack("<Q", 1)
    claim += struct.pack("<QQiiiBBH", 0xDD5E40F096B4A13F, 0, 1, 0, 2, 0, 32, 1) + struct.pack(
        "<qqq", 2**15, 2**15, 2**32
    )
    names = struct.pack("<QQQ", 0xF7E58D4F05049CB7, 0, 2**60)
    for i, params in enumerate((claim, names)):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "symbol").write_bytes(good[0])
        (folder / "params").write_bytes(params)
        code = (
            "import resource, sys, cvm.runtime\n"
            "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))\n"
            "try:\n    cvm.load(sys.argv[1])\nexcept cvm.CVMError as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "more than the file" in done.stdout, done.stderr


@counts_memory
def test_a_huge_constant_is_not_folded_at_load(tmp_path) -> None:
    """A tile of a parameter to 2^28 elements: legal, computed only when run."""
    from cvm import Model, Node

    nodes = [
        Node("null", "data"),
        Node("null", "p"),
        Node("tile", "t", ((1, 0),), {"reps": "(4096, 4096)"}),
        Node("slice_like", "s", ((2, 0), (0, 0))),
    ]
    save(tmp_path, Model(nodes, [(3, 0)], {"p": np.ones((4, 4), np.int32)}, {"data": 8, "p": 8}, (2, 2)))
    code = (
        "import resource, sys, cvm.runtime\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))\n"
        "print(cvm.load(sys.argv[1]).output_precisions)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip() == "(8,)", done.stderr
