"""Write files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from cvm.errors import CVMError
from cvm.files import write_files

from mrt.errors import MRTError

__all__ = ["atomic_write"]


def atomic_write(path: str | Path, data: bytes | str) -> Path:
    """Write `data` (text as UTF-8) to `path`, creating its folder; return the path. See `cvm.files.write_files`.

    Raises MRTError when the folder can't be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_files({path: data.encode("utf-8") if isinstance(data, str) else data})
    except CVMError as error:
        raise MRTError(str(error)) from None
    except (OSError, ValueError) as error:
        raise MRTError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    return path
