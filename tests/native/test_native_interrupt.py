"""Ctrl-C while the native runtime computes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import cvm
import numpy as np
import pytest
from native_compare import save
from test_native_limits import pooling, suppression

_CALLER = """
import sys
import cvm, numpy as np
model = cvm.load(sys.argv[1], threads=int(sys.argv[2]))
x = np.ones(model.input_shape, np.int8)
for _ in range(20):  # so that a worker is awake, and takes the task
    try:
        model(x, timeout=0.001)
    except cvm.Cancelled:
        pass
print("ready", flush=True)
model(x)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("model", [suppression, pooling])
def test_ctrl_c_ends_a_run(model, threads: int, tmp_path) -> None:
    folder = save(tmp_path, model())
    command = [sys.executable, "-c", _CALLER, str(folder), str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode in (-signal.SIGINT, 1) and "KeyboardInterrupt" in err


def test_a_handler_that_returns_does_not_disturb(tmp_path) -> None:
    """And what it raises ends the run, after which the model runs again."""
    model = cvm.load(save(tmp_path, suppression()), threads=1)
    x = np.ones(model.input_shape, np.int8)
    calls: list[int] = []

    def handler(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("enough")

    before = signal.signal(signal.SIGUSR1, handler)
    timers = [threading.Timer(after, lambda: signal.raise_signal(signal.SIGUSR1)) for after in (0.3, 0.9)]
    try:
        for timer in timers:
            timer.start()
        with pytest.raises(RuntimeError, match="enough"):
            model(x)
        assert len(calls) == 2
        with pytest.raises(cvm.Cancelled):
            model(x, timeout=0.05)
    finally:
        for timer in timers:
            timer.cancel()
        signal.signal(signal.SIGUSR1, before)
