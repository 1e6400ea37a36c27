"""Built-in parts of the kind `schedule`."""
