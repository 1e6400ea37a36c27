"""Files that change while they are read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modules import characters, labelled

from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def other(path: Path, text: str) -> None:
    """Writes another text of the same length, and takes care that it looks as old as the one before."""
    before = path.stat()
    time.sleep(0.02)  # more than the clock of a disk needs
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize("when", ["before the tokenizer", "before the tokens", "between two files"])
def test_a_file_that_changes_after_its_digest_was_taken_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch, when: str, on_error: str
) -> None:
    a, b = write("a.jsonl", '{"text": "red"}\n' * 31), write("b.txt", "one two")
    data = characters(["a.jsonl", "b.txt"], validation="b.txt", on_error=on_error)
    if when == "between two files":
        read = data.read

        def changing(*given: Any) -> Any:
            for number, document in enumerate(read(*given)):
                yield document
                if number == 30:
                    other(a, '{"text": "rod"}\n' * 31)

        monkeypatch.setattr(data, "read", changing)
    elif when == "before the tokens":
        assert data.tokenizer
        other(b, "two one")
    else:
        data.sources("train")
        other(b, "two one")
    with pytest.raises(DataError) as raised:
        data.prepare_data()
    name = "a.jsonl" if when == "between two files" else "b.txt"
    assert str(raised.value) == f"{name} changed while it was read; run again when it rests."
    kinds = {"tokenizers"} if when == "before the tokens" else set()
    assert {path.parent.name for path in Path("cache").glob("*/*")} == kinds


def test_labels_of_a_file_that_changes_are_not_kept(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.csv", "text,label\nx,1\ny,0\n")
    data = labelled("a.csv", validation="a.csv")
    data.sources("train")
    other(path, "text,label\nx,1\ny,2\n")
    with pytest.raises(DataError, match=r"a\.csv changed while it was read"):
        _ = data.labels
    assert not list(Path("cache").rglob("*.json"))
    assert labelled("a.csv", validation="a.csv").labels == ("1", "2")
