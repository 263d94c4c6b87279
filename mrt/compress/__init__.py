"""Compression of float networks before they are quantized: pruning, training for integers, distillation, sharing."""
