"""The built-in parts: a folder for each kind, a file for each part. They register as any plugin does."""
