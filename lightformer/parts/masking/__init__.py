"""Ways to hide tokens."""
