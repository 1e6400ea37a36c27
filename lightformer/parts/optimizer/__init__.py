"""Built-in parts of the kind `optimizer`."""
