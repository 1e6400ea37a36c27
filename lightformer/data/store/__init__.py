"""Tokens on disk: written once, then mapped into memory, so that text may be larger than memory.

A store is a folder. Its numbers are little-endian, and its files have no headers:

    meta.json        what is in it, for people and for checks
    tokens.bin       every token, in one, two or four bytes each, as the vocabulary needs
    sentences.bin    where each sentence starts in the tokens, and where the last one ends; eight bytes each
    documents.bin    where each document starts in the sentences, and where the last one ends; eight bytes each
    labels.bin       the class of each document, where there are classes; eight bytes each
    shards.jsonl     how long the files were after each shard, with digests; from this the writing goes on
    tokenizer.json   the tokenizer, so that the store can be read alone
"""

from lightformer.data.store.changes import note_changes
from lightformer.data.store.layout import FORMAT
from lightformer.data.store.reading import open_store, read_meta, verify_store
from lightformer.data.store.writing import write_store

__all__ = [
    "FORMAT",
    "note_changes",
    "open_store",
    "read_meta",
    "verify_store",
    "write_store",
]
