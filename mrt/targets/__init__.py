"""What integer graphs are compiled to."""
