"""Built-in parts of the kind `scaling`."""
