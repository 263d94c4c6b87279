"""MRT: compile trained float networks to integer-only CVM models."""

__version__ = "0.1.0"
