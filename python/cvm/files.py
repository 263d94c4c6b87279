"""Reading and writing files: whole or not at all, with one clear error.

Everything is first complete under an unpredictable temporary name beside its place (made anew, so that no link is
followed), forced to the disk, and then takes its place in one step. Whoever reads, or finds the place after a crash,
sees the old content or the new one. The other half of a crash is a leftover whose name begins with `.cvm-`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from cvm.errors import CVMError
from cvm.exchange import exchange

_PREFIX = ".cvm-"


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write every file, or none: all are complete before the first takes its name. Their folders must be there.

    A link at one of the names is replaced, not followed. Raises `CVMError` where a file cannot be written; what was
    there before stays.
    """
    staged: list[tuple[str, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            _require_file_or_nothing(path)
            descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
            staged.append((name, path))
            _fill(descriptor, content)
        for name, path in staged:
            os.replace(name, path)
        for path in contents:
            _sync(path.parent)
    except (OSError, ValueError) as error:
        raise CVMError(f"cannot write {path}: {_reason(error)}") from None
    finally:
        for name, _ in staged:
            _discard(name)


def write_folder(directory: Path, contents: Mapping[str, bytes], replaced: Collection[str] = ()) -> None:
    """Make `directory` a folder of exactly these files, in one step; the folders above it are made.

    An old folder of that name goes, with its files that are named in `contents` or `replaced`; whatever else is in it
    moves into the new one. Raises `CVMError` where the folder cannot be written; what was there before stays.
    """
    made = None
    try:
        directory = Path(os.path.realpath(directory))  # a link to a folder stays a link
        directory.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix=_PREFIX, dir=directory.parent)
        for name, content in contents.items():
            descriptor = os.open(os.path.join(made, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            _fill(descriptor, content)
        is_there = os.path.lexists(directory)
        if is_there and not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        os.chmod(made, stat.S_IMODE(directory.stat().st_mode) if is_there else 0o777 & ~_umask())
        _sync(Path(made))
        if is_there:
            exchange(made, directory)
            old, made = made, None  # from here on it may hold the only copy of what is not ours
            _move_others(Path(old), directory, {*contents, *replaced})
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(made, directory)
        _sync(directory.parent)
    except (OSError, ValueError) as error:
        raise CVMError(f"cannot write {directory}: {_reason(error)}") from None
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def read_file(path: Path, most: int | None = None) -> bytes:
    """The bytes of a regular file; `CVMError` where it cannot be read, or has more than `most` bytes."""
    try:
        # A pipe must neither be waited for nor read.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise CVMError(f"cannot read {path}: not a regular file")
            if most is not None and found.st_size > most:
                raise CVMError(f"cannot read {path}: {found.st_size} bytes, more than {most}")
            return stream.read()
    except (OSError, ValueError) as error:
        raise CVMError(f"cannot read {path}: {_reason(error)}") from None


def _fill(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), 0o666 & ~_umask())
        os.fsync(stream.fileno())


def _require_file_or_nothing(path: Path) -> None:
    """A device, a pipe or a folder is not replaced by a file."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "a folder or a device, not a file")


def _move_others(old: Path, new: Path, known: Collection[str]) -> None:
    for entry in sorted(os.listdir(old)):
        if entry not in known:
            os.rename(old / entry, new / entry)


def _sync(folder: Path) -> None:
    """Force the names in a folder to the disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _discard(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"not a name that the system can store ({error})"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
