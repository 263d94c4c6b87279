"""Every function of the C interface, called from the shipped library."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import cvm
import cvm._native
import cvm_models
import numpy as np
import pytest
from cvm import formal
from cvm.quantization import quantize
from native_compare import save
from test_native_limits import suppression

OK, REFUSED, BAD_INPUT, LIMIT, CANCELLED = range(5)
INSTALLED = Path(cvm._native.__file__).resolve().parent
LIBRARY = next(iter(sorted((INSTALLED / "lib").glob("libcvm.*"))), None)


class Options(ctypes.Structure):
    _fields_ = (("threads", ctypes.c_int), ("max_memory", ctypes.c_int64), ("max_operations", ctypes.c_int64))


@pytest.fixture(scope="module")
def lib():
    assert LIBRARY, "the C library is installed with the package"
    lib = ctypes.CDLL(str(LIBRARY))
    for name in ("cvm_load", "cvm_load_with", "cvm_load_memory", "cvm_cancel_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.cvm_last_error.restype = lib.cvm_sha256.restype = ctypes.c_char_p
    lib.cvm_sha256.argtypes = [ctypes.c_void_p]
    for name in ("cvm_quantize", "cvm_quantize_bytes"):
        getattr(lib, name).restype = ctypes.c_int64
        getattr(lib, name).argtypes = [
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64),
            *(ctypes.c_double, ctypes.c_int64, ctypes.c_void_p),
        ]
    lib.cvm_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p]
    lib.cvm_run_within.argtypes = [*lib.cvm_run.argtypes, ctypes.c_double, ctypes.c_void_p]
    for name in ("cvm_output_precision", "cvm_output_shape", "cvm_free", "cvm_cancel_set", "cvm_cancel_free"):
        first: list[type] = [ctypes.c_void_p]
        more: dict[str, list[type]] = {"cvm_output_precision": [ctypes.c_int]}
        more["cvm_output_shape"] = [ctypes.c_int, ctypes.c_int64, ctypes.c_void_p]
        getattr(lib, name).argtypes = first + more.get(name, [])
    return lib


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def pointers(*arrays: np.ndarray):
    return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))


def test_a_model_from_memory_gives_the_integers_of_formal(lib, tmp_path) -> None:
    model = cvm_models.small()
    folder = save(tmp_path, model)
    symbol, params = (folder / "symbol").read_bytes(), (folder / "params").read_bytes()
    handle = lib.cvm_load_memory(symbol, ctypes.c_size_t(len(symbol)), params, ctypes.c_size_t(len(params)), None)
    assert handle, lib.cvm_last_error()
    x = cvm_models.batch_of(model, 3).astype(np.int32)
    (want,) = formal.run(model, x)
    y = np.zeros(want.shape, np.int32)
    assert lib.cvm_run(handle, pointer(x), 0, 3, pointers(y)) == OK
    np.testing.assert_array_equal(y, want)
    assert lib.cvm_output_precision(handle, 0) == cvm.load(folder).output_precisions[0]
    assert lib.cvm_output_precision(handle, 1) == -1 and lib.cvm_last_status() == BAD_INPUT
    assert lib.cvm_run(handle, None, 0, 3, pointers(y)) == BAD_INPUT and b"no input" in lib.cvm_last_error()
    assert lib.cvm_run(handle, pointer(x), 0, 0, pointers(y)) == BAD_INPUT
    assert not lib.cvm_load_memory(symbol, ctypes.c_size_t(len(symbol) // 2), params, ctypes.c_size_t(9), None)
    assert lib.cvm_last_status() == REFUSED
    lib.cvm_free(handle)


def test_a_directory_is_the_one_that_its_manifest_lists(lib, tmp_path) -> None:
    folder = save(tmp_path / "m", cvm_models.small())
    path = str(folder).encode()
    handle = lib.cvm_load(path, 1)
    assert handle and lib.cvm_sha256(handle).decode() == cvm.load(folder).sha256
    lib.cvm_free(handle)
    manifest = (folder / "manifest.json").read_bytes()
    for name in ("symbol", "params", "ext.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert not lib.cvm_load(path, 1) and lib.cvm_last_status() == REFUSED
        message = f"{name} is not the file that manifest.json lists: it was changed or damaged"
        assert message.encode() in lib.cvm_last_error()
        with pytest.raises(cvm.CVMError, match=message):  # as Python does
            cvm.load(folder)
        (folder / name).unlink()
        assert not lib.cvm_load(path, 1) and lib.cvm_last_status() == REFUSED
        (folder / name).write_bytes(content)
    for damaged, why in (
        (manifest[:-3], b"manifest.json is not a manifest"),
        (manifest.replace(b'"version": 1', b'"version": 2'), b"has version 2"),
        (manifest.replace(b"params", b"param5"), b"its own digest does not fit"),
        (manifest.replace(b"params", b"../par"), b"names without folders"),
        (manifest.replace(b'"symbol": "', b'"symbol": "x'), b"64 hexadecimal digits"),
    ):
        (folder / "manifest.json").write_bytes(damaged)
        assert not lib.cvm_load(path, 1) and lib.cvm_last_status() == REFUSED
        assert why in lib.cvm_last_error()
    (folder / "manifest.json").unlink()
    handle = lib.cvm_load(path, 1)  # an older directory
    assert handle and lib.cvm_sha256(handle) is None
    lib.cvm_free(handle)


def test_limits_and_cancelling_have_their_own_status(lib, tmp_path) -> None:
    folder = str(save(tmp_path, suppression())).encode()
    assert not lib.cvm_load(b"/absent", 0) and lib.cvm_last_status() == REFUSED
    assert not lib.cvm_load_with(folder, ctypes.byref(Options(1, 100, 0))) and lib.cvm_last_status() == LIMIT
    assert not lib.cvm_load_with(folder, ctypes.byref(Options(1, 0, 100))) and lib.cvm_last_status() == LIMIT
    assert b"max_operations=100" in lib.cvm_last_error()
    handle = lib.cvm_load_with(folder, ctypes.byref(Options(2, 0, 0)))
    x, y = np.ones((1, 1, 6), np.int8), np.zeros(1, np.int8)
    assert lib.cvm_run_within(handle, pointer(x), 1, 1, pointers(y), 0.1, None) == CANCELLED
    cancel = lib.cvm_cancel_new()
    lib.cvm_cancel_set(cancel)
    assert lib.cvm_run_within(handle, pointer(x), 1, 1, pointers(y), -1.0, cancel) == CANCELLED
    assert b"was cancelled" in lib.cvm_last_error()
    lib.cvm_cancel_free(cancel)
    lib.cvm_free(handle)


@pytest.mark.parametrize("precision", [6, 8, 12])
def test_quantizing_is_that_of_python(lib, precision: int, tmp_path) -> None:
    nodes = [cvm.Node("null", "data"), cvm.Node("negative", "y", ((0, 0),))]
    folder = save(tmp_path, cvm.Model(nodes, [(1, 0)], {}, {"data": precision}, (1, 4)))
    handle = lib.cvm_load(str(folder).encode(), 1)
    rng = np.random.default_rng(precision)
    reals = np.concatenate([rng.normal(0, 3, 500), np.arange(-40, 40) / 16, [1e30, -1e30]]).astype(np.float32)
    pixels = np.arange(256, dtype=np.uint8)
    for values, call in ((reals, lib.cvm_quantize), (pixels, lib.cvm_quantize_bytes)):
        for scale, offset in ((1 / 8, 0), (1 / 3, 5), (0.7, -100)):
            want = quantize(values, scale, offset, precision)
            got = np.zeros_like(want)
            clipped = call(handle, pointer(values), values.size, scale, offset, pointer(got))
            np.testing.assert_array_equal(got, want)
            steps = np.floor(values.astype(np.float64) / scale + 0.5) - offset
            assert clipped == np.count_nonzero(steps != want)
    wrong = np.array([1, np.nan], np.float32)
    assert lib.cvm_quantize(handle, pointer(wrong), 2, 1.0, 0, pointer(np.zeros(2, np.int32))) == -1
    assert lib.cvm_last_error() == b"value 1 is not a number"
    assert lib.cvm_quantize(handle, pointer(reals), 1, 0.0, 0, pointer(np.zeros(2, np.int32))) == -1
    lib.cvm_free(handle)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("readelf"), reason="readelf of Linux shows it")
@pytest.mark.parametrize("library", [LIBRARY, Path(cvm._native.__file__)], ids=["libcvm", "_native"])
def test_the_libraries_are_hardened(library: Path) -> None:
    """Full RELRO, no executable stack, stack protector."""
    read = subprocess.run(["readelf", "-dlW", "--dyn-syms", str(library)], capture_output=True, text=True, check=True)
    assert "GNU_RELRO" in read.stdout and "BIND_NOW" in read.stdout
    assert "__stack_chk_fail" in read.stdout
    stack = next(line for line in read.stdout.splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack


def test_a_32_bit_host_is_refused_in_one_line(project, tmp_path) -> None:
    """Where the compiler can make code for one."""
    compiler = shutil.which("g++")
    (tmp_path / "main.cpp").write_text('#include "base/base.h"\n')
    command = [compiler or "", "-std=c++17", "-c", f"-I{project / 'python/cvm/native'}", "main.cpp", "-o", "main.o"]
    (tmp_path / "probe.cpp").write_text("#include <string>\n")
    probe = [compiler or "", "-m32", "-c", "probe.cpp", "-o", "probe.o"]
    if not compiler or subprocess.run(probe, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("this compiler makes no 32-bit code")
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    done = subprocess.run([command[0], "-m32", *command[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and done.stderr.count("error:") == 1 and "needs a 64-bit host" in done.stderr
