"""Progress: seconds of every stage, bars on a terminal only."""

from __future__ import annotations

import io
import logging
import re
import time

import pytest
from rich.console import Console

from mrt.report import Progress


def terminal() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=True, width=100), text


def test_seconds_of_finished_stages_in_order() -> None:
    progress = Progress(Console(file=io.StringIO()))
    with progress.stage("prepare"):
        time.sleep(0.02)
    with progress.stage("calibrate", total=2), progress.stage("batch"):
        pass
    with progress.stage("prepare"):
        time.sleep(0.02)
    assert list(progress.seconds) == ["prepare", "batch", "calibrate"]
    assert progress.seconds["prepare"] >= 0.04
    assert progress.seconds["calibrate"] >= progress.seconds["batch"]


def test_a_failed_stage_is_not_finished() -> None:
    progress = Progress(Console(file=io.StringIO()))
    with pytest.raises(KeyError), progress.stage("prepare"):
        raise KeyError
    assert progress.seconds == {}


def test_one_plain_line_per_stage_off_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    text = io.StringIO()
    with caplog.at_level(logging.INFO, logger="mrt"), Progress(Console(file=text)).stage("calibrate", total=2) as step:
        step.advance()
        step.advance()
    assert [record.getMessage() for record in caplog.records] == ["calibrate: 0.0 s"]
    assert text.getvalue() == ""


def test_bars_with_times_on_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    console, text = terminal()
    progress = Progress(console)
    with caplog.at_level(logging.INFO, logger="mrt"):
        with progress.stage("calibrate", total=5) as step:
            step.advance(3)
            with progress.stage("nested"):
                pass
        with progress.stage("quantize"):
            pass
    shown = text.getvalue()
    for part in ("calibrate", "nested", "quantize", "5/5", "0:00:00", "left"):
        assert part in shown
    assert caplog.records == []


@pytest.mark.parametrize("done, left", [(0, "0:15:00"), (2, "0:05:00")])
def test_the_time_left_is_known_after_one_slow_unit(caplog: pytest.LogCaptureFixture, done: int, left: str) -> None:
    now = [0.0]
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100, get_time=lambda: now[0])
    caplog.set_level(logging.INFO, logger="mrt")
    with pytest.raises(KeyError), Progress(console).stage("zoo", total=4, done=done) as step:
        now[0] += 300.0
        step.advance()
        raise KeyError
    assert f"left {left}" in re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue())


def test_a_failure_leaves_the_terminal_usable(caplog: pytest.LogCaptureFixture) -> None:
    console, text = terminal()
    progress = Progress(console)
    with caplog.at_level(logging.INFO, logger="mrt"):
        with pytest.raises(KeyError), progress.stage("calibrate", total=5):
            raise KeyError
        assert text.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"
        with progress.stage("quantize", total=5):
            pass
    assert list(progress.seconds) == ["quantize"]


def test_verbosity_hides_bars(caplog: pytest.LogCaptureFixture) -> None:
    console, text = terminal()
    with caplog.at_level(logging.WARNING, logger="mrt"), Progress(console).stage("calibrate"):
        pass
    assert text.getvalue() == ""
