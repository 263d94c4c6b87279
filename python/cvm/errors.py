"""The exceptions that reach users: one, and its kinds that a caller may want to tell apart."""

from __future__ import annotations


class CVMError(Exception):
    """A model, file or input the target refuses: one line that says what and where."""


class LimitError(CVMError):
    """A limit was reached: the memory or operations that a model may take, or the machine's own memory."""


class Cancelled(CVMError):
    """A run was stopped by its timeout or by its caller."""


class CVMWarning(UserWarning):
    """Something that may be a mistake, but that is not refused."""
