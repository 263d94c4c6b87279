"""Holds MXNet's float forwards to instructions that every x86-64 processor has.

oneDNN takes the widest instructions there are, and sums in another order with each. What is measured on the float
network decides how its integers are rounded, so the compiled bytes would depend on the processor.
"""

from __future__ import annotations

import os

_VARIABLE = "DNNL_MAX_CPU_ISA"
_COMMON = "SSE41"


def hold() -> None:
    """From now on, whatever the environment asks for. No effect once oneDNN has computed something in this process."""
    os.environ[_VARIABLE] = _COMMON


def held() -> str:
    """What forwards are held to, as oneDNN names it; "any" where they are not."""
    return os.environ.get(_VARIABLE, "any")
