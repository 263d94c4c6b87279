"""The one exception that reaches users."""

from __future__ import annotations


class MRTError(Exception):
    """Bad input: one line that says what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
