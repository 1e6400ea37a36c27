"""Built-in parts of the kind `norm`."""
