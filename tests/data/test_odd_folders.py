"""Text in odd places, and files that hold more than text."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from lightformer import examples
from lightformer.data import TextFiles, TokenizerConfig
from lightformer.errors import DataError

TEXT = "a small line of text that is one of many\n" * 40


def text_files(train: Path, cache: Path) -> TextFiles:
    return TextFiles(
        train=str(train),
        tokenizer=TokenizerConfig("characters"),
        examples=examples.windows(seq_len=11),
        batch_size=3,
        cache_dir=str(cache),
    )


def num_tokens(data: TextFiles) -> int:
    return sum(corpus.stop - corpus.start for corpus, _ in data.corpora("train"))


def test_a_cache_inside_the_folder_of_the_text_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    first = num_tokens(text_files(tmp_path, tmp_path / "cache"))
    assert num_tokens(text_files(tmp_path, tmp_path / "cache")) == first
    assert list((tmp_path / "cache").rglob("*.json"))


def test_a_file_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / os.fsdecode(b"b\xfccher.txt")).write_text(TEXT)
    first = num_tokens(text_files(folder, tmp_path / "cache"))
    assert num_tokens(text_files(folder, tmp_path / "cache")) == first > 0


def test_parquet_with_columns_that_nobody_asked_for(tmp_path: Path) -> None:
    times = pyarrow.array([10**18 + 7] * 9, pyarrow.timestamp("ns"))
    table = pyarrow.table({"text": [TEXT] * 9, "when": times, "number": range(9)})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert num_tokens(text_files(tmp_path / "a.parquet", tmp_path / "cache")) > 0


def test_parquet_whose_text_is_no_text(tmp_path: Path) -> None:
    broken = pyarrow.array([b"\xff\xfe"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": broken}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"row 1 is not utf-8 in 'text': byte 0 is 0xff"):
        text_files(tmp_path / "a.parquet", tmp_path / "cache").prepare_data()
