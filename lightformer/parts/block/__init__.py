"""Built-in parts of the kind `block`."""
