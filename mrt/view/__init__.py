"""Graphs to look at: `mrt inspect` and `mrt diff`, of the network's files, a stage's checkpoint or a compiled model."""
