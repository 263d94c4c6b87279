"""Independent tasks, each in a process of its own: on this machine or on a Ray cluster."""

from __future__ import annotations

from mrt.tasks.base import Finished, Task, Workers
from mrt.tasks.local import Local

__all__ = ["Finished", "Local", "Task", "Workers"]
