"""What is said to a user who can mend it: one sentence, and an exit code.

Every message gives the rule, the value that breaks it, and the way out.

    0   done                        4   checkpoint
    1   a check that was asked for  5   storage
        does not hold               6   a loss that is not finite
    2   command line and config     7   a process of a distributed run
    3   data                        128 + n   stopped by signal n
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LightformerError(Exception):
    """Base of all errors that are the user's to mend; printed without a traceback."""

    exit_code = 1


class ConfigError(LightformerError, ValueError):
    """A value, name or combination that cannot work."""

    exit_code = 2


class PluginError(ConfigError):
    """A plugin that cannot be registered, found or imported."""


class DataError(LightformerError, ValueError):
    """A file or row that cannot be used; the message names it."""

    exit_code = 3


class CheckpointError(LightformerError, ValueError):
    """A checkpoint that cannot be read, or does not fit."""

    exit_code = 4


class StorageError(LightformerError, OSError):
    """Something could not be written."""

    exit_code = 5


class NonFiniteError(LightformerError, ArithmeticError):
    """The loss became infinite or not a number."""

    exit_code = 6


def did_you_mean(name: str, known: Iterable[str], label: str = "Known") -> str:
    """Returns ` Did you mean 'x'? Known: a, b, x.`, for the end of a sentence about `name`."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} {label}: {', '.join(known) or 'none'}."
