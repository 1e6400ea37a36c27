"""What is kept of labelled rows, and what is kept of a text for validation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modules import characters, labelled

from lightformer.data import labelled_files
from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("values", [["1", "10", "2"], [True, False], ["pos", "neg ", "Ü"]])
def test_rows_are_read_for_their_labels_once(
    write: Write, monkeypatch: pytest.MonkeyPatch, values: list[Any]
) -> None:
    lines = [json.dumps({"text": f"t{n}", "label": value}) for n, value in enumerate(values)]
    write("a.jsonl", "\n".join(lines))
    write("v.jsonl", "\n".join(lines[:2]))
    first = labelled("a.jsonl", validation="v.jsonl")
    first.prepare_data()
    expected = [(corpus.labels.tolist(), first.labels) for corpus, _ in first.corpora("train")]  # type: ignore[union-attr]
    shutil.rmtree("cache/tokens")
    reads: list[str] = []
    read_rows = labelled_files.read_rows
    monkeypatch.setattr(
        labelled_files,
        "read_rows",
        lambda name, *how: (reads.append(name), read_rows(name, *how))[1],
    )
    for number in range(2):
        again = labelled("a.jsonl", validation="v.jsonl")
        again.prepare_data()
        found = [(corpus.labels.tolist(), again.labels) for corpus, _ in again.corpora("train")]  # type: ignore[union-attr]
        assert found == expected
        assert reads == ["a.jsonl", "v.jsonl"], number  # for the tokens, which were removed


def test_labels_that_cannot_be_read_are_named(write: Write) -> None:
    write("a.csv", "text,label\nx,1\ny,0\n")
    assert labelled("a.csv", validation="a.csv").labels == ("0", "1")
    (folder,) = Path("cache/labels").iterdir()
    (folder / "labels.json").write_text("[")
    with pytest.raises(DataError) as raised:
        _ = labelled("a.csv", validation="a.csv").labels
    assert str(raised.value) == (
        f"{folder} is damaged (labels.json cannot be read); delete the folder, it is made again."
    )


def test_a_share_for_validation_that_is_far_from_what_was_asked_for_is_said(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.txt", f"one|{'two ' * 249}|{'red ' * 250}")
    write("b.txt", "|".join(["moon"] * 11))
    data = characters({"a.txt": 1, "b.txt": 1}, document_separator="|", validation_share=0.2)
    data.prepare_data()
    assert capsys.readouterr().err == (
        "TextFiles-train-1-a.txt: validation_share is 20.0%, but 50.0% of the text is kept for "
        "validation, since documents are kept whole; set data.validation to files of your own.\n"
    )
    characters("a.txt", document_separator="|", validation_share=0.3).prepare_data()
    characters("a.txt", validation_share=0.02).prepare_data()  # one document, which is cut
    characters("a.txt", document_separator="|", validation="b.txt").prepare_data()
    assert "validation_share" not in capsys.readouterr().err


@pytest.mark.parametrize(("share", "split"), [(0.001, "validation"), (0.999, "train")])
def test_rows_that_leave_nothing_for_a_split_are_refused(
    write: Write, share: float, split: str
) -> None:
    write("a.csv", "text,label\nx,1\ny,0\nz,1\n")
    with pytest.raises(DataError) as raised:
        labelled("a.csv", validation_share=share).prepare_data()
    assert str(raised.value) == (
        f"validation_share {share} leaves none of the 3 rows of a.csv for {split}; "
        "set data.validation to files of your own."
    )
