"""Measures what compression costs and gains, on real data; `make compression`."""
