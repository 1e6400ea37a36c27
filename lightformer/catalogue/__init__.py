"""What parts, tasks and data there are, read from source without running any of it."""
