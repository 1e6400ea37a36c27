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

_FILE = {"bytes": int, "blake2b": str}

CONTENT: dict[str, Any] = {
    "name": str,
    "documents": int,
    "sentences": int,
    "tokens": int,
    "dtype": str,
    "labelled": bool,
    "labels": list,
    "separator": int | None,
    "tokenizer": {"fingerprint": str, "kind": str, "size": int},
    "sources": dict,
    "skipped": {"rows": int, "first": list},
    "files": dict.fromkeys((TOKENS, SENTENCES, DOCUMENTS, SHARDS, TOKENIZER), _FILE),
    "made": str,
    "lightformer": str,
}
"""What `meta.json` has, and of which kind it is."""

WIDE = np.dtype("<i8")
"""How borders and classes are written."""


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Returns the smallest whole numbers that name every token."""
    return np.dtype("<u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4")
