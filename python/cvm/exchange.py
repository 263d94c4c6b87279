"""Two folders change names in one step, where the system can."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import tempfile

_HERE = {"linux": -100, "darwin": -2}.get(sys.platform, 0)  # AT_FDCWD
_SWAP = 2  # RENAME_EXCHANGE of linux/fs.h, RENAME_SWAP of darwin's stdio.h
_MISSING = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # the kernel or the file system does not know it


def exchange(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> None:
    """Swap what two names beside each other stand for; OSError where it cannot be done.

    Linux and macOS do it in one step. Where they or the file system cannot, it takes three renames: a crash between
    them leaves `other` missing, and both contents whole under temporary names beside it.
    """
    swap = _system_call()
    if swap is not None:
        if swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) == 0:
            return
        code = ctypes.get_errno()
        if code not in _MISSING:
            raise OSError(code, os.strerror(code), os.fspath(other))
    aside = tempfile.mkdtemp(prefix=".cvm-", dir=os.path.dirname(os.path.abspath(other)))
    try:
        os.rename(other, os.path.join(aside, "old"))
        try:
            os.rename(one, other)
        except OSError:
            os.rename(os.path.join(aside, "old"), other)
            raise
        os.rename(os.path.join(aside, "old"), one)
    finally:
        with contextlib.suppress(OSError):  # it still holds the old content where even the way back failed
            os.rmdir(aside)


def _system_call() -> ctypes._NamedFuncPointer | None:
    names = {"linux": "renameat2", "darwin": "renameatx_np"}
    try:
        return getattr(ctypes.CDLL(None, use_errno=True), names.get(sys.platform, ""), None)
    except (OSError, TypeError, AttributeError):
        return None
