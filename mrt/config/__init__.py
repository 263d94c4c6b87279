"""Configuration files: MRT's INI and MRT v3's YAML, checked against one schema (`model.py`)."""

from __future__ import annotations

from mrt.config.load import load
from mrt.config.model import Config
from mrt.config.sections import Start

__all__ = ["Config", "Start", "load"]
