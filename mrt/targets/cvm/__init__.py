"""The compile stage's parts."""
