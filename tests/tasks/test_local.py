"""Tasks in processes of their own: each once, whatever becomes of the others, and none outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import task_functions as functions

from mrt.tasks import Finished, Local, Task

FOLDER = Path(__file__).parent


def results(local: Local, tasks: list[Task]) -> dict[str, Finished]:
    begun: list[str] = []
    ended = list(local.run(tasks, begun.append))
    assert sorted(begun) == sorted(each.name for each in ended) == sorted(task.name for task in tasks), "each once"
    return {each.name: each for each in ended}


def test_one_failure_does_not_stop_the_others() -> None:
    tasks = [Task(f"square{n}", functions.square, n) for n in range(3)]
    tasks[1:1] = [
        Task("refused", functions.refuse, "no\nsuch thing"),
        Task("crashed", functions.crash, None),
        Task("broken", functions.break_down, None),
    ]
    found = results(Local(2), tasks)
    assert [found[f"square{n}"].result for n in range(3)] == [0, 1, 4]
    assert found["refused"].reason == "no such thing"
    assert found["crashed"].reason == "its process died; was there enough memory?"
    assert found["broken"].reason == "ZeroDivisionError: of nothing"


def test_warnings_come_back_with_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    found = results(Local(), [Task("warned", functions.warn, 2), Task("quiet", functions.square, 2)])
    assert (found["warned"].result, found["warned"].told) == (2, ("2 of them",)) and found["quiet"].told == ()
    assert capfd.readouterr().err == "", "they would break the bars of a terminal"


def test_what_died_beside_others_is_tried_alone(tmp_path: Path) -> None:
    beside = Task("beside", functions.noted, ("", "", 4.0))
    found = results(Local(2), [beside, Task("again", functions.crash_beside_others, str(tmp_path))])
    assert found["again"].result == "done" and found["beside"].reason is None


def overlapped(local: Local, tasks: list[Task]) -> bool:
    (a, b), (c, d) = (each.result for each in results(local, tasks).values())
    return bool(max(a, c) < min(b, d))


def test_no_more_at_once_than_memory_holds() -> None:
    tasks = [Task(name, functions.noted, (name, "", 2.5), memory=600) for name in ("one", "other")]
    assert not overlapped(Local(2, available=1000), tasks)
    assert overlapped(Local(2, available=1200), tasks)
    alone = results(Local(2, available=100), [Task("large", functions.square, 3, memory=10**12)])
    assert alone["large"].result == 9, "what never fits runs by itself"


def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""if __name__ == "__main__":
    import sys; sys.path.insert(0, {str(FOLDER)!r})
    import task_functions as f
    from mrt.tasks import Local, Task
    list(Local().run([Task("long", f.wait_long, {str(tmp_path)!r})], print))
"""
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.DEVNULL)
    marker = tmp_path / "child"
    until = time.monotonic() + 60
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < until and parent.poll() is None
        time.sleep(0.05)
    child = int(marker.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 10
    while _alive(child):
        assert time.monotonic() < until, "the child goes on"
        time.sleep(0.05)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
