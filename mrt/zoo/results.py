"""Where the zoo's results are kept: a report for each network that ran, one line for each that failed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.report import Report
from mrt.report.read import read_report


class Results:
    """The results in one folder: `NAME.report.json`, `.report.md`, `.origin.json` and `.failure.txt`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make_folder(self) -> None:
        """Make the folder where there is none.

        Raises:
            MRTError: it cannot be written in.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise MRTError(f"{self.folder}: cannot be written in: {error.strerror}; name another --output") from None

    def save(self, name: str, report: Report, origin: Mapping[str, str] | None = None) -> None:
        """Keep a network's report, in place of what is known of it, and what it was made from."""
        self._origin(name).unlink(missing_ok=True)
        report.write(self.folder, name)
        if origin is not None:  # last: what has one is whole
            atomic_write(self._origin(name), json.dumps(origin, indent=1) + "\n")
        self._failure(name).unlink(missing_ok=True)

    def kept(self, name: str, origin: Mapping[str, str]) -> Report | None:
        """A network's report, if it was made from this and the last run did not fail."""
        try:
            if json.loads(self._origin(name).read_text(encoding="utf-8")) != dict(origin) or self.failure(name):
                return None
            return self.report(name)
        except (OSError, ValueError, MRTError):
            return None

    def fail(self, name: str, reason: str) -> None:
        """Keep why a network's last run failed; an earlier report stays where it is."""
        atomic_write(self._failure(name), reason + "\n")

    def report(self, name: str) -> Report | None:
        """A network's last report, or None.

        Raises:
            MRTError: the file is damaged, or of another version.
        """
        path = self.folder / f"{name}.report.json"
        return read_report(path) if path.is_file() else None

    def failure(self, name: str) -> str | None:
        """Why a network's last run failed, or None where it did not."""
        path = self._failure(name)
        return path.read_text(encoding="utf-8").strip() if path.is_file() else None

    def summary(self, name: str) -> str:
        """The last result in a few words, `-` where there is none."""
        failure, report = self.failure(name), self.report(name)
        if failure is not None:
            return f"failed: {failure}"
        return summary(report) if report else "-"

    def _origin(self, name: str) -> Path:
        return self.folder / f"{name}.origin.json"

    def _failure(self, name: str) -> Path:
        return self.folder / f"{name}.failure.txt"


def summary(report: Report) -> str:
    """A report in a few words: accuracies of a trained network, agreement of one with random weights."""
    parts = []
    if report.weights == "trained":
        for executor, metrics in report.accuracy.items():
            parts += [f"{executor} {name} {value:.2%}" for name, value in list(metrics.items())[:1]]
    if report.agreement is not None:
        parts.append(f"agreement with float {report.agreement:.2%}")
    if report.sqnr_db is not None:
        parts.append(f"SQNR {report.sqnr_db:.1f} dB")
    return ", ".join(parts) or "not evaluated"
