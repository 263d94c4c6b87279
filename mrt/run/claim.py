"""One run at a time writes a model's files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mrt.errors import MRTError, Remedy


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder for one model while its files are written there; checked before any work is done.

    The hold is a lock on `<folder>/.<name>.lock`, which ends with the process, however that ends.

    Raises:
        MRTError: the folder cannot be made or written, or another run holds it.
    """
    path = folder / f".{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise MRTError(f"{folder}: cannot be written in ({error.strerror})", Remedy.OUTPUT_DIR) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise MRTError(
                f"{folder}: another run (process {holder}) is writing {name} there; wait for it, or name another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)
