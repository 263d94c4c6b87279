"""Documentation that is generated, or that names places, agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

from mrt import ops

ROOT = Path(__file__).resolve().parents[2]


def test_operator_table_is_current() -> None:
    assert (ROOT / "docs" / "operators.md").read_text().endswith(ops.documentation())


def test_design_names_only_places_that_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    halves = text.split("## Rooms of `python/cvm/`")
    for half, folder in zip(halves, (ROOT / "mrt", ROOT / "python" / "cvm")):
        rooms = half.split("## Rooms of `mrt/`")[-1] if folder.name == "mrt" else half
        for row in re.findall(r"^\| (`.+?) \|", rooms, re.MULTILINE):
            for place in re.findall(r"`([^`]+)`", row):
                assert (folder / place).exists(), f"docs/design.md names {folder.name}/{place}"
