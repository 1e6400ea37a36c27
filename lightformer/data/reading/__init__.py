"""Reads the files of a user, in bounded memory. What cannot be read is answered with file, line and reason."""

from lightformer.data.reading.faults import Reading

__all__ = ["Reading"]
