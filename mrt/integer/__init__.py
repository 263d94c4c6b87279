"""What operators quantize with: integer values, the builder of integer graphs, layers in integers."""
