"""Progress of the stages: bars on a terminal, one plain line per finished stage elsewhere."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Callable

import rich.progress
from rich.console import Console

__all__ = ["Progress", "Step"]

logger = logging.getLogger(__name__)


class Step:
    """The part of a stage that is done, counted in units of the stage's own."""

    def __init__(
        self, done: int = 0, show: Callable[[int], None] | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        """`done` units are done already; `show` is called with the count so far, `say` with what is being done."""
        self.done = done
        self._show = show
        self._say = say

    def advance(self, count: int = 1) -> None:
        """Say that `count` more units are done."""
        self.done += count
        if self._show is not None:
            self._show(self.done)

    def say(self, text: str) -> None:
        """Say what is being done."""
        if self._say is not None:
            self._say(text)


class Progress:
    """Times the stages, and shows them.

    Bars with elapsed and remaining time appear where `console` (standard error by default) is a terminal and the
    package's logger lets INFO through; otherwise, each finished stage is one line at INFO, and that is all.

    Attributes:
        seconds: the time each finished stage took, by name, in order; a name used again adds up.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console or Console(stderr=True)
        self._bars: rich.progress.Progress | None = None

    @contextmanager
    def stage(self, name: str, total: int | None = None, done: int = 0) -> Iterator[Step]:
        """Time what runs inside as stage `name` of `total` units (None: not known), of which an earlier run did `done`.

        Stages may nest.
        """
        started = time.perf_counter()
        with self._step(name, total, done) as step:
            yield step
        seconds = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if not self._shows():
            logger.info("%s: %.1f s", name, seconds)

    def _shows(self) -> bool:
        return self._console.is_terminal and logger.isEnabledFor(logging.INFO)

    @contextmanager
    def _step(self, name: str, total: int | None, done: int) -> Iterator[Step]:
        """Yield the stage's step, with a bar of its own while it runs where bars are shown."""
        if not self._shows():
            yield Step(done)
            return
        outermost = self._bars is None
        bars = self._bars or rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<12}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left"),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[text]}"),
            console=self._console,
            redirect_stdout=sys.stdout.isatty(),  # what goes elsewhere must not end on the terminal
            speed_estimate_period=math.inf,  # one unit may take an hour
        )
        self._bars = bars
        if outermost:
            bars.start()
        task = bars.add_task(name, total=total, completed=done, text="")
        bars.advance(task, 0)  # from here on, its speed is measured
        try:
            show = partial(bars.update, task)
            step = Step(done, lambda count: show(completed=count), lambda text: show(text=text))
            yield step
            bars.update(task, total=total or step.done or 1, completed=total or step.done or 1)
        finally:
            bars.stop_task(task)
            if outermost:
                bars.stop()
                self._bars = None
