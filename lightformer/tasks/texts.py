"""Texts that a user hands to a task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightformer.errors import ConfigError
from lightformer.plain import from_plain


def encoded(task: Any, texts: Iterable[str]) -> list[list[int]]:
    """Returns the token ids of texts, without special tokens.

    Args:
        task: whose tokenizer makes them
        texts: any number

    Raises:
        ConfigError: these are no texts, or the task has no tokenizer.
    """
    if task.tokenizer is None:
        raise ConfigError("The model has no tokenizer; load it with lightformer.load(checkpoint).")
    if not isinstance(texts, str) and isinstance(texts, Iterable):
        texts = list(texts)  # a column of a table among them
    found: list[list[int]] = task.tokenizer.encode_batch(from_plain(list[str], texts, "texts"))
    return found
