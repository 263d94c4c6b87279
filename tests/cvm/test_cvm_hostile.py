"""Files made to cost more than they weigh: both readers refuse or read them at a cost that their size bounds."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

import cvm
import cvm_models as models
import pytest
from cvm import CVMError, Model, Node, format
from cvm.certificate import certify

pytestmark = pytest.mark.filterwarnings("ignore:.*manifest")
READERS = {
    "formal": lambda folder: format.load(folder / "symbol", folder / "params"),
    "native": lambda folder: cvm.load(folder, threads=1),
}


@pytest.fixture(params=READERS)
def reader(request):
    return READERS[request.param]


@pytest.fixture
def folder(tmp_path):
    format.save(models.small(), tmp_path / "symbol", tmp_path / "params")
    return tmp_path


@pytest.mark.parametrize("file", ["symbol", "params"])
def test_a_pipe_a_device_or_a_folder_is_not_waited_for(folder, reader, file):
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir):
        path = folder / file
        path.rmdir() if path.is_dir() else path.unlink()
        make(path)
        with pytest.raises(CVMError, match=r"regular|folder|directory"):
            reader(folder)


@pytest.mark.parametrize(
    "symbol",
    [
        b"[" * 10**6,
        b'{"a":' * 10**6,
        b'{"nodes":' + b"[" * 900 + b"]" * 900 + b"}",
        b"9" * 10**6,
        b"[" + b"9" * 10**6 + b"]",
    ],
    ids=["lists", "objects", "closed", "number", "number in a list"],
)
def test_depth_and_digits_are_bounded(folder, reader, symbol):
    (folder / "symbol").write_bytes(symbol)
    started = time.process_time()
    with pytest.raises(CVMError):
        reader(folder)
    assert time.process_time() - started < 2


HEAVY = {
    "30 MB of empty lists": b'{"nodes":[' + b"[]," * 10**7 + b"[]]}",
    "30 MB of empty objects": b'{"nodes":[' + b"{}," * 10**7 + b"{}]}",
    "most values that a symbol may have": b'{"nodes":[' + b"{}," * (2**22 - 10) + b"{}]}",
    "most bytes that a symbol may have": b'{"nodes":["' + b"x" * (2**26 - 20) + b'"]}',
    "more bytes than a symbol may have": b'"' + b"x" * 2**26 + b'"',
    "many keys": b"{" + b",".join(b'"%d":1' % i for i in range(2 * 10**6)) + b"}",
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_symbol_is_refused_in_bounded_memory(folder, name):
    """Each reader in a process that may take 700 MB beside what it has with everything imported."""
    (folder / "symbol").write_bytes(HEAVY[name])
    code = (
        "import resource, sys, cvm.runtime\n"
        "from cvm import format\n"
        "folder, reader = sys.argv[1:]\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)\n"
        "try:\n"
        "    if reader == 'formal': format.load(folder + '/symbol', folder + '/params')\n"
        "    else: cvm.load(folder, threads=1)\n"
        "except cvm.CVMError as error:\n"
        "    print('refused:', str(error)[:300])\n"
    )
    for kind in READERS:
        command = [sys.executable, "-W", "ignore", "-c", code, str(folder), kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and done.stdout.startswith("refused: "), (kind, done.stderr[-500:])
        assert "memory" not in done.stdout.replace("MB", ""), (kind, done.stdout)


def test_many_names_of_parameters_are_counted_once(folder, reader):
    names = b"".join(struct.pack("<Q", 6) + b"%06d" % (i // 2) for i in range(200_000))
    head = struct.pack("<QQQ", 0xF7E58D4F05049CB7, 0, 200_000)
    array = struct.pack("<QQiiiBBHqq", 0xDD5E40F096B4A13F, 0, 1, 0, 1, 0, 8, 1, 1, 1) + b"\0"
    (folder / "params").write_bytes(head + names + struct.pack("<Q", 200_000) + 200_000 * array)
    started = time.process_time()
    with pytest.raises(CVMError, match="twice"):
        reader(folder)
    assert time.process_time() - started < 5


def test_time_grows_with_the_nodes_and_not_with_their_square(tmp_path):
    def seconds(count):
        nodes = [Node("null", "data")]
        nodes += [Node("negative", f"n{i}", ((i, 0),)) for i in range(count)]
        model = Model(nodes, [(count, 0)], {}, {"data": 8}, (1, 4))
        started = time.process_time()
        format.save(model, tmp_path / "symbol", tmp_path / "params")
        certify(format.load(tmp_path / "symbol", tmp_path / "params"))
        return time.process_time() - started

    seconds(1000)
    assert seconds(16000) < 8 * 2.5 * seconds(2000)
