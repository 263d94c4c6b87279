"""Runs graphs: MXNet, in float32 and as the integers' exact twin in float64."""
