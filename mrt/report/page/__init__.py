"""Reports as one page of HTML that needs nothing but itself: a template, a style and a script are filled in here."""

from __future__ import annotations

from mrt.report.page.page import page

__all__ = ["page"]
