"""Writing several files whole or not at all, and reading them with one clear error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cvm.errors import CVMError


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write every file, or none: all are complete under temporary names beside them before the first takes its name.

    Raises `CVMError` where a file cannot be written; what was there before stays.
    """
    staged: list[tuple[str, Path]] = []
    try:
        for path, content in contents.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            staged.append((name, path))
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o666 & ~_umask())
        for name, path in staged:
            os.replace(name, path)
    except OSError as error:
        raise CVMError(f"cannot write {error.filename or 'the files'}: {error.strerror}") from None
    finally:
        for name, _ in staged:
            if os.path.exists(name):
                os.unlink(name)


def read_file(path: Path) -> bytes:
    """The bytes of a file; `CVMError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CVMError(f"cannot read {path}: {error.strerror}") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
