"""Where the zoo's results are kept: a report for each network that ran, one line for each that failed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import ValidationError

from mrt.atomic import atomic_write
from mrt.errors import MRTError
from mrt.report import Report


class Results:
    """The results in one folder: `NAME.report.json`, `NAME.report.md` and `NAME.failure.txt`."""

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

    def save(self, name: str, report: Report) -> None:
        """Keep a network's report, in place of what is known of it."""
        report.write(self.folder, name)
        self._failure(name).unlink(missing_ok=True)

    def fail(self, name: str, reason: str) -> None:
        """Keep why a network's last run failed; an earlier report stays where it is."""
        atomic_write(self._failure(name), reason + "\n")

    def report(self, name: str) -> Report | None:
        """A network's last report, or None.

        Raises:
            MRTError: the file is damaged.
        """
        path = self.folder / f"{name}.report.json"
        if not path.is_file():
            return None
        try:
            return Report.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, OSError, UnicodeDecodeError):
            raise MRTError(f"{path}: damaged report; remove it or run mrt zoo run {name} again") from None

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
