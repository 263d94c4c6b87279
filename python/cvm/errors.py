"""The one exception that reaches users."""

from __future__ import annotations


class CVMError(Exception):
    """A model, file or input the target refuses: one line that says what and where."""
