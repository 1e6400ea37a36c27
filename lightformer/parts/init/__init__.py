"""Built-in parts of the kind `init`."""
