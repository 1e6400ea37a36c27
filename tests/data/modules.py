"""Data modules of a user's own files, with a small tokenizer."""

from __future__ import annotations

from typing import Any

from lightformer.data import LabelledFiles, TextFiles, TokenizerConfig


def characters(train: Any, **options: Any) -> TextFiles:
    options = {"tokenizer": TokenizerConfig("characters"), "batch_size": 2, **options}
    return TextFiles(train=train, cache_dir="cache", **options)


def labelled(train: Any, **options: Any) -> LabelledFiles:
    options = {"tokenizer": TokenizerConfig("characters"), "batch_size": 2, **options}
    return LabelledFiles(train=train, cache_dir="cache", **options)
