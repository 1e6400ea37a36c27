"""Built-in parts of the kind `adapter`."""
