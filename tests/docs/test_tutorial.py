"""Every command of docs/tutorial.md does what it says there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import mrt

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)(?: (\w+)=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> str:
    """With this Python, and its mrt, as `python` and `mrt`."""
    main = Path(mrt.__file__).with_name("main.py")
    tools = f'python() {{ "{sys.executable}" -W ignore "$@"; }}; mrt() {{ python "{main}" "$@"; }}; {command}'
    ended = subprocess.run(
        ["bash", "-c", tools], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


def test_the_tutorial(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    for kind, action, name, content in BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text()):
        if action == "file":
            (tmp_path / name).write_text(content)
        elif action == "replace":
            replace(tmp_path / name, content)
        if kind == "console":
            for line in content.splitlines():
                if line.startswith("$ "):
                    command = line[2:]
                    said[command] = run(command, tmp_path)
                else:
                    assert line in said[command].splitlines(), f"{command} does not say {line!r}"
    assert len(said) == 13
    right, count = re.match(r"([\d.]+)% of (\d+) pictures", said["python run.py"]).groups()  # type: ignore[union-attr]
    assert float(right) > 85 and int(count) == 797
    assert "the same integers" in said["mrt my_net.ini --quiet"]
    assert "p99" in next(text for command, text in said.items() if " bench " in command)


def replace(path: Path, lines: str) -> None:
    """Put these lines in the place of those with the same keys, commented out or not."""
    text = path.read_text()
    for line in lines.splitlines():
        key = line.partition("=")[0]
        text, count = re.subn(rf"^(# )?{key}=.*$", line, text, flags=re.MULTILINE)
        assert count == 1, f"{path.name} has {count} lines with {key}"
    path.write_text(text)
