"""Built-in parts of the kind `feedforward`."""
