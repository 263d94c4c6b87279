"""What tests of every area need."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")  # the same examples every time: what fails there can be repeated

# What a shell starts in the background ignores SIGINT, and so does every child of it: here it interrupts, always.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The command line sets up the package's logger: no test sees what another left there."""
    logger = logging.getLogger("mrt")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder, with the shipped weights in data/."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(project: Path) -> Path:
    """The folder of real data that is too large to ship."""
    folder = Path(os.environ.get("MRT_SHARED") or project.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"real data not found in {folder}; name its folder with MRT_SHARED")
    return folder
