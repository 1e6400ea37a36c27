"""Built-in parts of the kind `position`."""
