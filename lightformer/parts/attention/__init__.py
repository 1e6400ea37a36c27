"""Built-in parts of the kind `attention`."""
