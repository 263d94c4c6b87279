"""Write files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mrt.errors import MRTError

__all__ = ["atomic_write"]


def atomic_write(path: str | Path, data: bytes | str) -> Path:
    """Write `data` (text as UTF-8) to `path`, creating its folder; return the path.

    The bytes go to a temporary name beside `path`, then take its place in one step: a reader sees the old file or the
    new one, never a part, and a failed write leaves the old file as it was.

    Raises MRTError when the folder can't be made or written.
    """
    path = Path(path)
    payload = data.encode("utf-8") if isinstance(data, str) else data
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(payload)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise MRTError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def _umask() -> int:
    """Return the process's file mode mask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
