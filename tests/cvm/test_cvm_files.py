"""Writing files and folders: whole or not at all, whatever fails and whenever the process dies."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from pathlib import Path

import pytest
from cvm import CVMError, exchange, files
from cvm.files import read_file, write_files, write_folder

OLD = {"a": b"old a", "b": b"old b" * 1000}
NEW = {"a": b"new a", "b": b"new b" * 1000, "c": b""}
STEPS = ("open", "fsync", "replace", "rename", "unlink", "chmod", "fchmod", "rmdir", "mkdir")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupt(monkeypatch, at: int, how) -> list[int]:
    """From now on the `at`-th system call that changes a disk does `how()` first; returns the counter."""
    count = [0]

    def counted(function):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] == at:
                how()
            return function(*args, **kwargs)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(files, "exchange", counted(exchange.exchange))
    return count


def in_child(work) -> int:
    """The exit status of `work` in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except CVMError:
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(monkeypatch, at: int, work) -> int:
    """0 where `work` is done before it comes to its `at`-th step, 9 where it died there."""

    def child() -> None:
        interrupt(monkeypatch, at, lambda: os._exit(9))
        work()

    return in_child(child)


@pytest.mark.parametrize("one_step", [True, False])
def test_a_process_killed_at_any_step_leaves_one_whole_folder(tmp_path, monkeypatch, one_step) -> None:
    if not one_step:  # a system that cannot exchange two names
        monkeypatch.setattr(exchange, "_system_call", lambda: None)
    seen = set()
    for at in range(1, 200):
        place = tmp_path / str(at)
        write_folder(place / "model", OLD)
        status = killed_at(monkeypatch, at, lambda place=place: write_folder(place / "model", NEW))
        assert status in (0, 9)
        if not one_step and not (place / "model").exists():  # between two renames: both are there under other names
            both = [contents(folder.parent) for folder in place.rglob("a")]
            assert OLD in both and NEW in both
            seen.add("beside")
        else:
            found = contents(place / "model")
            assert found in (OLD, NEW)
            seen.add("old" if found == OLD else "new")
        if status == 0:
            break
    assert at > 15 and seen == ({"old", "new"} if one_step else {"old", "new", "beside"})


def test_a_failure_at_any_step_leaves_one_whole_folder_and_no_litter(tmp_path, monkeypatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    seen = set()
    for at in range(1, 200):
        place = tmp_path / str(at)
        write_folder(place / "model", OLD)
        (place / "model" / "mine").write_bytes(b"mine")
        with monkeypatch.context() as patch:
            count = interrupt(patch, at, full)
            try:
                write_folder(place / "model", NEW)
            except CVMError as error:
                assert str(error) == f"cannot write {place / 'model'}: No space left on device"
        assert [path.read_bytes() for path in place.rglob("mine")] == [b"mine"]
        found = {name: content for name, content in contents(place / "model").items() if name != "mine"}
        assert found in (OLD, NEW)
        seen.add("old" if found == OLD else "new")
        if count[0] < at:
            break
        if found == OLD:
            assert os.listdir(place) == ["model"]
    assert at > 15 and seen == {"old", "new"}


def with_space(size: int, work) -> int:
    """The exit status of `work` where the system refuses to let a file grow beyond `size` bytes."""

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        work()

    return in_child(child)


def test_a_disk_that_fills_up_during_any_write_keeps_the_old(tmp_path) -> None:
    write_folder(tmp_path / "model", OLD)
    write_files({tmp_path / name: content for name, content in OLD.items()})
    for size in (0, 1, 4, 1000, 4999):
        assert with_space(size, lambda: write_folder(tmp_path / "model", NEW)) == 1
        both = {tmp_path / name: content for name, content in NEW.items()}
        assert with_space(size, lambda both=both: write_files(both)) == 1
        assert contents(tmp_path / "model") == OLD
        assert sorted(os.listdir(tmp_path)) == ["a", "b", "model"]
        assert (tmp_path / "a").read_bytes() == OLD["a"] and (tmp_path / "b").read_bytes() == OLD["b"]
    assert with_space(5000, lambda: write_folder(tmp_path / "model", NEW)) == 0
    assert contents(tmp_path / "model") == NEW


def test_files_that_are_no_part_of_it_survive_a_new_folder(tmp_path) -> None:
    write_folder(tmp_path / "model", {**OLD, "stale": b"1"})
    (tmp_path / "model" / "mine").mkdir()
    (tmp_path / "model" / "mine" / "notes").write_bytes(b"2")
    write_folder(tmp_path / "model", NEW, replaced=["stale"])
    assert read_file(tmp_path / "model" / "mine" / "notes") == b"2"
    assert sorted(os.listdir(tmp_path / "model")) == ["a", "b", "c", "mine"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_link_to_a_folder_stays_and_its_folder_is_renewed(tmp_path) -> None:
    write_folder(tmp_path / "elsewhere" / "model", OLD)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "model")
    write_folder(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink() and contents(tmp_path / "elsewhere" / "model") == NEW


def test_a_link_at_a_files_name_is_replaced_and_not_followed(tmp_path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    (tmp_path / "out").symlink_to("precious")
    write_files({tmp_path / "out": b"new"})
    assert not (tmp_path / "out").is_symlink() and (tmp_path / "precious").read_bytes() == b"keep"


def test_modes_are_those_of_new_files_and_a_folder_keeps_its_own(tmp_path) -> None:
    (tmp_path / "plain").touch()
    write_files({tmp_path / "file": b""})
    write_folder(tmp_path / "model", OLD)
    expected = (tmp_path / "plain").stat().st_mode
    assert {(tmp_path / name).stat().st_mode for name in ("file", "model/a")} == {expected}
    (tmp_path / "model").chmod(0o750)
    write_folder(tmp_path / "model", NEW)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o750


@pytest.mark.parametrize("name", ["absent/out", "out\0", "x" * 300, ".", "pipe", "file/out"])
def test_what_cannot_be_written_is_one_line(tmp_path, name) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with pytest.raises(CVMError) as refused:
        write_files({tmp_path / name: b"new"})
    assert "cannot write" in str(refused.value) and "\n" not in str(refused.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["file", "file/model", "x" * 300, "\0"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, name) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CVMError, match="cannot write"):
        write_folder(tmp_path / name, NEW)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["pipe", "absent", ".", "\0", "x" * 300])
def test_what_cannot_be_read_is_one_line_and_never_waited_for(tmp_path, name) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CVMError, match="cannot read"):
        read_file(tmp_path / name)


def test_names_outside_utf_8_do(tmp_path) -> None:
    strange = tmp_path / os.fsdecode(b"\xff\xfe")
    write_files({strange: b"1"})
    write_folder(tmp_path / os.fsdecode(b"m\xff"), NEW)
    assert read_file(strange) == b"1" and contents(tmp_path / os.fsdecode(b"m\xff")) == NEW
