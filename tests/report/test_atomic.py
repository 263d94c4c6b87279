"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mrt.atomic import atomic_write
from mrt.errors import MRTError


def test_writes_bytes_and_text(tmp_path: Path) -> None:
    assert atomic_write(tmp_path / "a" / "b.txt", "µ").read_bytes() == "µ".encode()
    assert atomic_write(str(tmp_path / "a" / "b.txt"), b"\0\1").read_bytes() == b"\0\1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_has_the_mode_of_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert atomic_write(tmp_path / "file", "").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = atomic_write(tmp_path / "file", "old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(MRTError, match=r"cannot write .*file: No space left on device"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MRTError, match="cannot write"):
        atomic_write(tmp_path / "file" / "below", "")
