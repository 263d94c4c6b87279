"""The model directory, written and read as a whole.

    symbol, params   the model, in the target's own two files
    params.huf       params in fewer bytes (`cvm.huffman`), read where params itself is missing; may be missing
    ext.json         what the integers mean (`cvm.description`)
    data.npy         a sample batch of the input's integers; may be missing
    manifest.json    the digests of all files (`cvm.manifest`)

and what else belongs to the model, such as its certificate.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cvm import description, huffman, params, strict_json
from cvm import format as model_format
from cvm.description import EXT, Description
from cvm.errors import CVMError, CVMWarning
from cvm.files import read_file, write_folder
from cvm.formal import check_input
from cvm.manifest import MANIFEST, Manifest, digest, is_plain
from cvm.model import INPUT, Model
from cvm.ops.base import Array
from cvm.quantization import saturate

SYMBOL, PARAMS, CODED, SAMPLE = "symbol", "params", "params.huf", "data.npy"
_OWN = (SYMBOL, PARAMS, CODED, EXT, SAMPLE, MANIFEST)
_BEFORE_MANIFESTS = ("certificate.json", "certificate.txt")  # of older folders, which list nothing


@dataclass(frozen=True)
class Files:
    """The bytes of a model directory.

    Attributes:
        contents: by file name.
        sha256: the digest of the whole; None for an older directory, which has no manifest.
    """

    contents: Mapping[str, bytes]
    sha256: str | None = None

    def description(self) -> Description:
        """What the integers mean; empty where the directory does not say."""
        return description.decode(self.contents[EXT]) if EXT in self.contents else Description()


@dataclass
class Package:
    """A model and what its integers mean; `sha256` is the digest of its directory, None where that has no manifest."""

    model: Model
    description: Description = field(default_factory=Description)
    sha256: str | None = None


def save_package(
    directory: str | os.PathLike[str],
    model: Model,
    ext: Mapping[str, Any],
    sample: Array | None = None,
    extra: Mapping[str, bytes] | None = None,
    coded: bool = False,
) -> str:
    """Write a model directory in one step: whoever looks sees the old model or the new one, whole. Returns its digest.

    `ext` is what `cvm.description` describes. `sample` is a batch of integers of the model's input. `extra` are
    further files. `coded` writes params.huf, too, which can stand for params. Files of an older model of that name
    go, others in the folder stay. Raises `CVMError` for a model or sample the target refuses, an `ext` that is wrong
    or not JSON, or a place that cannot be written; the old model stays.
    """
    directory = Path(directory)
    symbol, weights = model_format.encode(model)
    try:
        text = json.dumps(ext, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise CVMError(f"{EXT}: {error}") from None
    description.decode(text.encode())
    contents = {SYMBOL: symbol, PARAMS: weights, EXT: text.encode()}
    if coded:
        contents[CODED] = huffman.encode(params.decode(weights))
    if sample is not None:
        contents[SAMPLE] = _sample_bytes(model, np.asarray(sample))
    for name, content in (extra or {}).items():
        if name in _OWN or not is_plain(name):
            raise CVMError(f"{name!r} cannot be the name of a further file of a model")
        contents[name] = content
    manifest = Manifest.of(contents)
    write_folder(directory, {**contents, MANIFEST: manifest.encode()}, _files_of(directory))
    return manifest.sha256


def load_package(directory: str | os.PathLike[str]) -> Package:
    """Read a model directory; `CVMError` where a file is missing, damaged, or not the one that the manifest lists."""
    directory = Path(directory)
    files = read_package(directory)
    try:
        model = model_format.decode(files.contents[SYMBOL], files.contents[PARAMS])
        return Package(model, files.description(), files.sha256)
    except CVMError as error:
        raise CVMError(f"{directory}: {error}") from None


def read_package(directory: str | os.PathLike[str], max_memory: int = 2**32) -> Files:
    """The files of a model directory, checked against its manifest; an older directory has none, which is warned of.

    Where there is params.huf but no params, that is decoded, to `max_memory` bytes at most. Raises `CVMError` where a
    file is missing or not the one that was written.
    """
    directory = Path(directory)
    while True:
        before = _identity(directory)
        try:
            return _read(directory, max_memory)
        except CVMError:
            if _identity(directory) == before:
                raise  # else a new model took the place while the old one was read


def _identity(directory: Path) -> tuple[int, int]:
    try:
        status = os.stat(directory)
    except (OSError, ValueError):
        raise CVMError(f"{directory} is not a model directory") from None
    return status.st_dev, status.st_ino


def _read(directory: Path, max_memory: int) -> Files:
    if not directory.is_dir():
        raise CVMError(f"{directory} is not a model directory")
    if not os.path.lexists(directory / MANIFEST):
        names = [SYMBOL, PARAMS, *([EXT] if os.path.lexists(directory / EXT) else [])]
        contents = {name: _content(directory / name, max_memory) for name in names}
        warnings.warn(f"{directory} has no {MANIFEST}: nothing says that its files belong together", CVMWarning, 3)
        return Files(contents)
    try:
        manifest = Manifest.decode(_content(directory / MANIFEST))
    except CVMError as error:
        raise CVMError(f"{directory}: {error}") from None
    for name in (SYMBOL, PARAMS):
        if name not in manifest.files:
            raise CVMError(f"{directory}: {MANIFEST} does not list {name}")
    contents = {name: _content(directory / name, max_memory) for name in manifest.files}
    for name, content in contents.items():
        if digest(content) != manifest.files[name]:
            raise CVMError(
                f"{directory / name} is not the file that {MANIFEST} lists: it was changed or damaged, or comes from "
                "another model"
            )
    return Files(contents, manifest.sha256)


def _content(path: Path, max_memory: int = 2**32) -> bytes:
    coded = path.with_name(CODED)
    if path.name == PARAMS and os.path.lexists(coded) and not os.path.lexists(path):
        try:
            return params.encode(huffman.decode(read_file(coded), max_memory))
        except CVMError as error:
            raise type(error)(f"{coded}: {error}") from None
    return read_file(path, strict_json.MAX_BYTES if path.name in (SYMBOL, EXT, MANIFEST) else None)


def _files_of(directory: Path) -> set[str]:
    """The files of the model that is there, if one is."""
    try:
        return {*_OWN, *Manifest.decode(read_file(directory / MANIFEST)).files}
    except CVMError:
        return {*_OWN, *_BEFORE_MANIFESTS}


def _sample_bytes(model: Model, sample: Array) -> bytes:
    check_input(model, sample)
    buffer = io.BytesIO()
    np.save(buffer, saturate(sample, model.precisions[INPUT]), allow_pickle=False)
    return buffer.getvalue()
