"""Which tokens of a row belong together: to one stretch of text, and to one word."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.errors import ConfigError
from lightformer.examples import Batch
from lightformer.vocabulary import Vocabulary

Array = npt.NDArray[Any]

LONGEST = 32
"""Tokens of a word, at most; so text without white space, such as Chinese, is cut into several."""


def beginnings(vocabulary: Vocabulary, wanted_by: str) -> Array:
    """Returns for each token id whether it begins a word.

    Raises:
        ConfigError: the tokenizer does not tell.
    """
    if not vocabulary.word_starts:
        raise ConfigError(
            f"{wanted_by} needs a tokenizer that shows where a word begins, but none of its tokens begins with white "
            "space, ▁ or Ġ, or goes on with ##; choose a tokenizer.kind, which all do, or masking: token."
        )
    return np.array(vocabulary.word_starts)


def stretch_starts(batch: Batch, is_text: Array) -> Array:
    """Returns which tokens come first in their stretch: text of one document and segment, without a gap.

    Args:
        batch: the rows; `document_ids` and `token_type_ids` say where documents and segments meet
        is_text: which tokens are text, (batch, seq)
    """
    starts = is_text.copy()
    starts[:, 1:] &= ~is_text[:, :-1]
    for key in ("document_ids", "token_type_ids"):
        if key in batch:
            owner = batch[key].numpy()
            starts[:, 1:] |= is_text[:, 1:] & (owner[:, 1:] != owner[:, :-1])
    return starts


def word_starts(batch: Batch, is_text: Array, begins: Array) -> Array:
    """Returns which tokens come first in their word; a word never leaves its stretch.

    Args:
        batch: the rows
        is_text: which tokens are text, (batch, seq)
        begins: which ids begin a word, see `beginnings`
    """
    starts = stretch_starts(batch, is_text) | is_text & begins[batch["input_ids"].numpy()]
    columns = np.arange(is_text.shape[1])
    return starts | is_text & ((columns - heads(starts)) % LONGEST == 0)


def heads(starts: Array) -> Array:
    """Returns for each token the column of the last start before it, or its own; 0 where there is none."""
    columns = np.arange(starts.shape[1])
    return np.maximum.accumulate(np.where(starts, columns, 0), axis=1)
