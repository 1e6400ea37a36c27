"""The files of a store, and the numbers in them."""

from __future__ import annotations

from typing import Any

import numpy as np

FORMAT = 2
"""Changes when a store is laid out in another way."""

META = "meta.json"
SHARDS = "shards.jsonl"
TOKENIZER = "tokenizer.json"
TOKENS = "tokens.bin"
SENTENCES = "sentences.bin"
DOCUMENTS = "documents.bin"
LABELS = "labels.bin"

WIDE = np.dtype("<i8")
"""How borders and classes are written."""


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Returns the smallest whole numbers that name every token."""
    return np.dtype("<u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4")
