"""The files of a store, and the numbers in them."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import numpy as np

FORMAT = 3
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


def digest_of(value: Any) -> str:
    """Returns a name for plain data, however it is laid out in a file."""
    text = json.dumps(value, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()
