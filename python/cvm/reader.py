"""Bytes, read from the start to the end."""

from __future__ import annotations

import struct

from cvm.errors import CVMError


class Reader:
    """A position in a file that never passes its end."""

    def __init__(self, content: bytes) -> None:
        """Begins with the first byte."""
        self._view = memoryview(content)
        self._at = 0

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._view) - self._at

    def take(self, size: int, what: str) -> memoryview:
        """The next bytes; `CVMError` where there are not as many, which names what they were for."""
        if size > self.remaining:
            raise CVMError(f"the file ends within {what} ({size} bytes needed, {self.remaining} left)")
        self._at += size
        return self._view[self._at - size : self._at]

    def unpack(self, form: str, what: str) -> tuple[int, ...]:
        """Whole numbers, as `struct` has them."""
        return struct.unpack(form, self.take(struct.calcsize(form), what))

    def expect(self, form: str, value: int, what: str) -> None:
        """A number that must be this one."""
        (found,) = self.unpack(form, what)
        if found != value:
            raise CVMError(f"{what} is {found}, expected {value}")
