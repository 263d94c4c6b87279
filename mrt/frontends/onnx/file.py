"""Opens ONNX models: from a file with its external data, or a ModelProto; what they must be, checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrt.errors import MRTError

if TYPE_CHECKING:
    import onnx

_OLDEST = 7
_LARGEST = 2**31 - 1
_OWN = ("", "ai.onnx")


def package() -> Any:
    """The onnx package.

    Raises:
        MRTError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MRTError("ONNX models need the onnx package; install mrt[onnx]") from None
    return onnx


def is_onnx(path: str | Path) -> bool:
    """Whether a path names an ONNX model."""
    return Path(path).suffix.lower() == ".onnx"


def is_model(source: Any) -> bool:
    """Whether something is a ModelProto; asked without the package."""
    return type(source).__name__ == "ModelProto" and type(source).__module__.startswith("onnx")


def load_model(source: Any) -> onnx.ModelProto:
    """A model from a path or as it is, with all its data in memory and in an opset that can be read.

    Raises:
        MRTError: it is missing, damaged, of an unknown version, or its external data is missing or outside its folder.
    """
    package()
    model = _parsed(Path(source)) if isinstance(source, (str, Path)) else source
    folder = Path(source).parent if isinstance(source, (str, Path)) else None
    where = str(source) if folder else "the model"
    if not model.HasField("graph") or not model.graph.output:
        raise MRTError(f"{where}: it is no ONNX model, or has no outputs")
    for tensor in _tensors(model.graph):
        if tensor.data_location == tensor.EXTERNAL:
            _load_external(tensor, folder, where)
    return _upgraded(model, where)


def external_files(path: Path) -> list[Path]:
    """The files of data that a model needs beside itself; none where it cannot be read."""
    try:
        tensors = _tensors(_parsed(path).graph)
        names = {_entries(tensor).get("location", "") for tensor in tensors if tensor.data_location == tensor.EXTERNAL}
    except MRTError:
        return []
    return sorted(path.parent / name for name in names)


def _parsed(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise MRTError(f"{path}: larger than 2 GB; save it with its weights as external data")
        content = path.read_bytes()
    except FileNotFoundError:
        raise MRTError(f"{path}: no such file") from None
    except OSError as error:
        raise MRTError(f"{path}: cannot be read: {error.strerror or error}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise MRTError(f"{path}: not an ONNX model, or truncated ({' '.join(str(error).split())[:100]})") from None
    return model


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of a graph and of those inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attr in node.attribute:
            if attr.HasField("t"):
                yield attr.t
            yield from attr.tensors
            for inner in [attr.g, *attr.graphs] if attr.HasField("g") or attr.graphs else []:
                yield from _tensors(inner)


def _entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _load_external(tensor: Any, folder: Path | None, where: str) -> None:
    """Read a tensor's data from a file within the model's folder."""
    place = f"{where}: tensor {tensor.name}"
    if folder is None:
        raise MRTError(f"{place}: its data is in another file; give the model's path")
    entries = _entries(tensor)
    location = entries.get("location", "")
    file = (folder / location).resolve()
    if not location or "\0" in location or Path(location).is_absolute() or folder.resolve() not in file.parents:
        raise MRTError(f"{place}: its data is said to be in {location!r}, which is not within the model's folder")
    if not file.is_file():
        raise MRTError(f"{place}: its data is missing: there is no {file}; copy it beside the model")
    try:
        start, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
    except ValueError:
        raise MRTError(f"{place}: its offset or length is no number") from None
    have = file.stat().st_size
    length = have - start if length < 0 else length
    if start < 0 or length < 0 or start + length > have:
        raise MRTError(f"{place}: {file} ends before its data does ({have} bytes); copy it again")
    if length > _LARGEST:
        raise MRTError(f"{place}: of {length} bytes; tensors beyond 2 GB are not supported")
    with file.open("rb") as stream:
        stream.seek(start)
        tensor.raw_data = stream.read(length)
    tensor.data_location = tensor.DEFAULT
    del tensor.external_data[:]


def _upgraded(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The model in an opset from 7 on, which those before are converted to."""
    import onnx

    versions = [each.version for each in model.opset_import if each.domain in _OWN]
    newest = onnx.defs.onnx_opset_version()
    if not versions:
        return model
    if versions[0] > newest:
        raise MRTError(
            f"{where}: its opset {versions[0]} is newer than the installed onnx knows ({newest}); update the package"
        )
    if versions[0] >= _OLDEST:
        return model
    try:
        return onnx.version_converter.convert_version(model, _OLDEST)
    except Exception as error:  # the package raises its own errors of C++
        reason = " ".join(str(error).split())[:120]
        raise MRTError(
            f"{where}: its opset {versions[0]} is older than {_OLDEST} and cannot be converted ({reason}); "
            "export it again"
        ) from None
