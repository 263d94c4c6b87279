"""`verify`: a model directory checked by itself, with exit status 1 for whatever was changed."""

from __future__ import annotations

import json

import cvm_models as models
import numpy as np
import pytest
from cvm.__main__ import main
from cvm.certificate import certify
from cvm.manifest import MANIFEST, Manifest
from cvm.package import save_package
from cvm.runtime import LoadedModel as Native


@pytest.fixture
def folder(tmp_path):
    model = models.small()
    extra = {"certificate.json": certify(model).to_json().encode()}
    save_package(tmp_path / "m", model, {"producer": "test"}, models.batch_of(model, 1), extra)
    return tmp_path / "m"


def rewritten(folder, name, content: bytes | None) -> None:
    """Change a file and make the manifest fit, as one who means harm would."""
    listed = json.loads((folder / MANIFEST).read_text())["files"]
    contents = {each: (folder / each).read_bytes() for each in listed}
    if content is None:
        del contents[name]
        (folder / name).unlink()
    else:
        contents[name] = content
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(Manifest.of(contents).encode())


def verified(folder, capsys, *arguments) -> tuple[int, str]:
    status = main(["verify", str(folder), *arguments])
    captured = capsys.readouterr()
    assert captured.err == ""
    return status, captured.out


def test_a_good_model(folder, capsys) -> None:
    digest = json.loads((folder / MANIFEST).read_text())["sha256"]
    status, text = verified(folder, capsys, "--sha256", digest)
    assert status == 0 and text.splitlines()[-1] == "verified"
    assert text.count("ok ") == 5 and digest in text
    assert "native and formal give the same 10 integers for the sample in data.npy" in text


def test_another_digest_than_the_pinned_one(folder, capsys) -> None:
    status, text = verified(folder, capsys, "--sha256", "0" * 64)
    assert status == 1 and "digests      FAILED" in text and "not verified: digests failed" in text


def test_a_flipped_bit(folder, capsys) -> None:
    content = bytearray((folder / "params").read_bytes())
    content[-3] ^= 1
    (folder / "params").write_bytes(content)
    status, text = verified(folder, capsys)
    assert status == 1 and "params is not the file that manifest.json lists" in text


@pytest.mark.parametrize(
    ("name", "content", "failed", "said"),
    [
        ("certificate.json", b'{"ok": true}', "certificate", "is not what follows from the model"),
        ("symbol", b"{}", "format", ""),
        ("ext.json", b"[]", "meaning", ""),
        ("data.npy", b"no array", "runtime", "data.npy is not an array"),
    ],
)
def test_a_changed_file_with_a_manifest_that_fits(folder, capsys, name, content, failed, said) -> None:
    rewritten(folder, name, content)
    status, text = verified(folder, capsys)
    assert status == 1 and f"not verified: {failed}" in text and said in text


def test_a_model_without_a_sample_is_run_on_random_input(folder, capsys) -> None:
    rewritten(folder, "data.npy", None)
    status, text = verified(folder, capsys)
    assert status == 0 and "for seeded random input" in text


def test_a_model_that_can_overflow(tmp_path, capsys) -> None:
    model = models.chain("cvm_right_shift", {"precision": "31", "shift_bit": "1"}, precision=32)
    save_package(tmp_path / "m", model, {})
    status, text = verified(tmp_path / "m", capsys)
    assert status == 1 and "int32 can overflow: first at node 'y' (cvm_right_shift)." in text


def test_a_runtime_that_computes_something_else(folder, capsys, monkeypatch) -> None:
    run = Native.__call__
    monkeypatch.setattr(Native, "__call__", lambda self, x: run(self, x) + np.eye(1, 10, 3, dtype=np.int32))
    status, text = verified(folder, capsys)
    assert status == 1 and "output 0: 1 of 10 integers are not what the specification says" in text


def test_without_manifest_nothing_is_verified(folder, capsys) -> None:
    (folder / MANIFEST).unlink()
    status, text = verified(folder, capsys)
    assert status == 1 and "no manifest.json" in text


def test_what_is_no_model_is_bad_input(tmp_path, capsys) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert main(["verify", str(tmp_path / "none")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("is not a model directory") == captured.err.count("\n") == 2
