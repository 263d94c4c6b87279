"""MXNet's training mode, in which BatchNorm takes the batch's own statistics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mxnet import autograd


@contextmanager
def training_mode() -> Iterator[None]:
    """What runs inside runs as in training; MXNet's C++ remarks about pooling there are kept off standard error."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with autograd.train_mode():
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
