r"""`manifest.json`: the SHA-256 of every file of a model directory, and of all of them together.

{"version": 1, "files": {NAME: SHA-256, ...}, "sha256": SHA-256 of the lines "SHA-256  NAME\n", sorted by name}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cvm.errors import CVMError

MANIFEST = "manifest.json"
_VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Manifest:
    """The digests (lower-case hexadecimal) of a model directory's files."""

    files: Mapping[str, str]

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> Manifest:
        """The manifest of these files."""
        return cls({name: digest(contents[name]) for name in sorted(contents)})

    @property
    def sha256(self) -> str:
        """The digest of the whole, by which two people can compare their models."""
        return digest("".join(f"{self.files[name]}  {name}\n" for name in sorted(self.files)).encode())

    def encode(self) -> bytes:
        """The bytes of `manifest.json`."""
        document = {"version": _VERSION, "files": dict(sorted(self.files.items())), "sha256": self.sha256}
        return (json.dumps(document, indent=2) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Read `manifest.json`; `CVMError` where it is damaged or of another version."""
        try:
            document = json.loads(content.decode("utf-8"))
            version, files, whole = document["version"], document["files"], document["sha256"]
        except (ValueError, RecursionError, KeyError, TypeError):
            raise CVMError(f"{MANIFEST} is not a manifest") from None
        if version != _VERSION:
            raise CVMError(f"{MANIFEST} has version {version!r:.20}, this is a reader of version {_VERSION}")
        if not isinstance(files, dict) or not all(is_plain(name) and name != MANIFEST for name in files):
            raise CVMError(f"{MANIFEST}: its files must be names without folders")
        if not all(isinstance(value, str) and _DIGEST.match(value) for value in files.values()):
            raise CVMError(f"{MANIFEST}: a digest is not 64 hexadecimal digits")
        manifest = cls(files)
        if manifest.sha256 != whole:
            raise CVMError(f"{MANIFEST}: its own digest does not fit its files; it was changed or damaged")
        return manifest


def is_plain(name: object) -> bool:
    """Whether a name is that of a file in the folder itself."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
