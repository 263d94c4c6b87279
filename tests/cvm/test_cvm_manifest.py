"""A model directory is one model: every file is the one that was written with the others, or it is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil

import cvm_models as models
import numpy as np
import pytest
from cvm import CVMError, formal, load
from cvm.package import load_package, read_package, save_package
from test_cvm_files import killed_at, with_space

CERTIFICATE = {"certificate.json": b'{"ok": true}'}
X = models.batch_of(models.small(), 1)


def save(folder, seed: int) -> str:
    """A model of one of several seeds: alike in shape, different in every weight."""
    model = models.small(seed)
    return save_package(
        folder, model, {"producer": str(seed)}, X, {"certificate.txt": str(seed).encode(), **CERTIFICATE}
    )


def which(folder) -> int:
    """The seed of the model in a folder, of which every file must be that model's."""
    package = load_package(folder)
    seed = int(package.description.producer)
    (expected,) = formal.run(models.small(seed), X)
    assert np.array_equal(formal.run(package.model, X)[0], expected)
    assert np.array_equal(load(folder)(X), expected)
    assert (folder / "certificate.txt").read_bytes() == str(seed).encode()
    return seed


def test_the_manifest_is_what_sha256sum_says(tmp_path) -> None:
    whole = save(tmp_path / "m", 0)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    names = sorted(os.listdir(tmp_path / "m"))
    assert names == sorted([*manifest["files"], "manifest.json"])
    digests = {n: hashlib.sha256((tmp_path / "m" / n).read_bytes()).hexdigest() for n in names if n != "manifest.json"}
    assert manifest["files"] == digests
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    assert whole == manifest["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert load(tmp_path / "m").sha256 == load_package(tmp_path / "m").sha256 == whole
    assert save(tmp_path / "again", 0) == whole != save(tmp_path / "other", 1)


@pytest.mark.parametrize("name", ["symbol", "params", "ext.json", "data.npy", "certificate.txt"])
def test_a_file_of_another_model_is_refused(tmp_path, name) -> None:
    save(tmp_path / "a", 0)
    save(tmp_path / "b", 1)
    content = (tmp_path / "b" / name).read_bytes()
    (tmp_path / "a" / name).write_bytes(content if name not in ("symbol", "data.npy") else content + b" ")
    for reader in (load, load_package):
        with pytest.raises(CVMError, match=f"{name} is not the file that manifest.json lists"):
            reader(tmp_path / "a")
    (tmp_path / "a" / name).unlink()
    for reader in (load, load_package):
        with pytest.raises(CVMError, match=f"cannot read .*{name}"):
            reader(tmp_path / "a")


def changed(change):
    def edit(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: b"", "is not a manifest"),
        (lambda content: b"[]", "is not a manifest"),
        (lambda content: content[:-3], "is not a manifest"),
        (changed(lambda d: d.update(version=2)), "version 2"),
        (changed(lambda d: d["files"].update({"../x": "0" * 64})), "names without folders"),
        (changed(lambda d: d["files"].update(symbol="0" * 63)), "64 hexadecimal"),
        (changed(lambda d: d["files"].update(symbol="0" * 64)), "its own digest"),
        (changed(lambda d: d["files"].pop("params")), "its own digest"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, edit, message) -> None:
    save(tmp_path / "m", 0)
    path = tmp_path / "m" / "manifest.json"
    path.write_bytes(edit(path.read_bytes()))
    for reader in (load, load_package):
        with pytest.raises(CVMError, match=message) as refused:
            reader(tmp_path / "m")
        assert "\n" not in str(refused.value)


def test_a_process_killed_at_any_step_over_an_older_model_leaves_the_one_or_the_other(tmp_path, monkeypatch) -> None:
    seen = set()
    for at in range(1, 200):
        folder = tmp_path / str(at) / "model"
        save(folder, 0)
        status = killed_at(monkeypatch, at, lambda folder=folder: save(folder, 1))
        seen.add(which(folder))
        if status == 0:
            break
    assert at > 20 and seen == {0, 1}


def test_a_disk_that_fills_up_at_any_byte_leaves_the_old_model(tmp_path) -> None:
    folder = tmp_path / "model"
    save(folder, 0)
    sizes = sorted(path.stat().st_size for path in folder.iterdir())
    for size in {limit for full in sizes for limit in (0, full // 2, full - 1)} - {sizes[-1]}:
        assert with_space(size, lambda: save(folder, 1)) == 1
        assert which(folder) == 0
        assert os.listdir(tmp_path) == ["model"]
    assert with_space(sizes[-1], lambda: save(folder, 1)) == 0 and which(folder) == 1


def test_a_mix_that_a_copy_made_is_never_loaded(tmp_path) -> None:
    """Every mixture of the files of two models of one shape."""
    save(tmp_path / "a", 0)
    save(tmp_path / "b", 1)
    names, seen = sorted(os.listdir(tmp_path / "a")), []
    for mask in range(2 ** len(names)):
        folder = tmp_path / "mix"
        folder.mkdir()
        for bit, name in enumerate(names):
            shutil.copy(tmp_path / ("b" if mask >> bit & 1 else "a") / name, folder / name)
        with contextlib.suppress(CVMError):
            seen.append(which(folder))
        shutil.rmtree(folder)
    alike = sum((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    assert alike < len(names) - 1 and sorted(seen) == [0] * 2**alike + [1] * 2**alike


def test_a_reader_meets_whole_models_while_they_are_replaced(tmp_path) -> None:
    folder = tmp_path / "model"
    digests = [save(folder, 0), save(tmp_path / "other", 1)]
    child = os.fork()
    if child == 0:
        for turn in range(30):
            save(folder, turn % 2)
        os._exit(0)
    found = set()
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        files = read_package(folder)
        assert files.sha256 in digests
        found.add(files.sha256)
    assert found == set(digests)


def test_further_files_have_names_of_their_own(tmp_path) -> None:
    for name in ("symbol", "manifest.json", "../x", "a/b", "", "."):
        with pytest.raises(CVMError, match="cannot be the name"):
            save_package(tmp_path / "m", models.small(), {}, None, {name: b""})
    assert not (tmp_path / "m").exists()
