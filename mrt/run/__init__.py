"""The stages stage's parts."""
