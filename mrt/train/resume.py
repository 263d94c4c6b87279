"""Where a training stands after an epoch, in one file, so that it resumes as if it had never stopped."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.graph import Array

_STATE, _MOMENTS, _ABOUT = "state/", "moments/", "about"


@dataclass
class Standing:
    """Where a training stands.

    Attributes:
        epochs: how many are done.
        loss: of the last.
        state: all arrays that training changes, by name.
        moments: what the optimizer keeps of each learned array, by name.
        order: the random generator that orders and augments the pictures, as NumPy describes it.
    """

    epochs: int
    loss: float
    state: Mapping[str, Array]
    moments: Mapping[str, list[Array]]
    order: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingCheckpoint:
    """The file of one training.

    Attributes:
        path: the file.
        origin: what the training is made from, by what users call it; another origin is refused.
    """

    path: Path
    origin: Mapping[str, str]

    def save(self, standing: Standing) -> None:
        """Write it, whole or not at all."""
        arrays: dict[str, Array] = {_STATE + name: array for name, array in standing.state.items()}
        for name, kept in standing.moments.items():
            arrays.update({f"{_MOMENTS}{index}/{name}": array for index, array in enumerate(kept)})
        about = {
            "origin": dict(self.origin),
            "epochs": standing.epochs,
            "loss": standing.loss,
            "order": standing.order,
            "moments": {name: len(kept) for name, kept in standing.moments.items()},
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays, **{_ABOUT: np.array(json.dumps(about))})
        atomic_write(self.path, buffer.getvalue())

    def load(self) -> Standing | None:
        """Read it; None where there is none.

        Raises:
            MRTError: it is damaged, or of another training.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MRTError(f"{self.path}: cannot be read: {error.strerror}") from None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                about = json.loads(str(arrays[_ABOUT]))
                origin = {str(key): str(value) for key, value in about["origin"].items()}
                state = {key[len(_STATE) :]: arrays[key] for key in arrays.files if key.startswith(_STATE)}
                moments = {
                    str(name): [arrays[f"{_MOMENTS}{index}/{name}"] for index in range(count)]
                    for name, count in about["moments"].items()
                }
            standing = Standing(int(about["epochs"]), float(about["loss"]), state, moments, about["order"])
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            raise MRTError(f"{self.path}: damaged training checkpoint; delete it to start anew") from None
        changed = [key for key in {**origin, **self.origin} if origin.get(key) != self.origin.get(key)]
        if changed:
            key = changed[0]
            raise MRTError(
                f"{self.path}: this training was begun with something else: {key} was {origin.get(key)}, "
                f"is {self.origin.get(key)}; delete it to start anew"
            )
        return standing

    def drop(self) -> None:
        """The training is complete."""
        self.path.unlink(missing_ok=True)


def digest(arrays: Mapping[str, Array]) -> str:
    """Of arrays by name, sixteen characters that tell them from others."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode())
        found.update(np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()[:16]
