"""What is said while a store is written, and after."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpora import sentences

from lightformer.data.reading import Reading
from lightformer.data.sentences import Document
from lightformer.data.store import progress, write_store
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import DataError
from lightformer.tokenizer import Tokenizer, TokenizerConfig

TEXTS = [sentences(5, i) for i in range(11)]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter(TEXTS), TokenizerConfig("characters"))


def documents(reading: Reading) -> Iterator[Document]:
    for text in TEXTS:
        reading.bytes_read += len(text)
        yield Document([text])
    reading.on_error = "skip"
    for line in range(1234):
        reading.fault(DataError(f"a.txt, line {line} is broken."))


def test_one_line_where_it_took_long_or_rows_were_left_out(
    tmp_path: Path,
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens = sum(map(len, TEXTS)) + 11
    for soon, target in ((1e9, tmp_path / "a"), (0.0, tmp_path / "b")):
        monkeypatch.setattr(progress, "SOON", soon)
        reading = Reading()
        write_store(target, documents(reading), tokenizer, 3, name="it", reading=reading, shard=97)
        said = capsys.readouterr().err
        assert said
    assert re.fullmatch(
        rf"prepared it: 11 documents, {tokens:,} tokens, 1,234 rows skipped, in \d+\.\d s -> .*/b\n",
        said,
    )
    plain = [Document([text]) for text in TEXTS]  # of which none is left out
    for soon, target in ((1e9, tmp_path / "c"), (0.0, tmp_path / "d")):
        monkeypatch.setattr(progress, "SOON", soon)
        write_store(target, plain, tokenizer, 3, name="it")
        assert bool(capsys.readouterr().err) == (soon == 0)
    skipped = json.loads((tmp_path / "b/meta.json").read_text())["skipped"]
    assert skipped["rows"] == 1234
    assert skipped["first"] == [f"a.txt, line {line} is broken." for line in range(20)]


def test_a_bar_on_a_terminal(
    tmp_path: Path,
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "SOON", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    size = sum(map(len, TEXTS))
    reading = Reading(total_bytes=size)
    write_store(tmp_path / "s", documents(reading), tokenizer, 3, name="it", reading=reading)
    said = capsys.readouterr().err
    assert "preparing it:   0%|" in said
    assert f"/{size / 1000:.2f}k [" in said
    assert said.endswith(f" -> {tmp_path / 's'}\n")
