"""Independent tasks, each in a process of its own: on this machine or on a Ray cluster."""

from __future__ import annotations

from mrt.tasks.base import Executor, Finished, Task
from mrt.tasks.local import Local

__all__ = ["Executor", "Finished", "Local", "Task"]
