"""The quantize stage's parts."""
