"""The calibrate stage's parts."""
