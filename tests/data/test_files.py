"""Files as training data: mixed with weights, compressed, in folders, with faults in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from corpora import sentences
from modules import characters, labelled

from lightformer.data.files_module import FilesModule
from lightformer.draws import uniform
from lightformer.errors import ConfigError, DataError

Write = Callable[[str, "str | bytes"], Path]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texts(data: FilesModule, split: Any) -> list[list[str]]:
    """The documents of each part of a split, as they come back from the store."""
    found = []
    for corpus, _ in data.corpora(split):
        rows = [corpus.tokens[a:b] for a, b in pairwise(corpus.bounds())]
        found.append([data.tokenizer.decode(row) for row in rows])
    return found


def test_sources_are_mixed_with_weights(write: Write) -> None:
    write("a.txt", "red moon.")
    write("b.jsonl.gz", gzip.compress(b'{"text": "blue"}\n{"text": "green"}\n'))
    write("v.txt", "moon")
    data = characters({"a.txt": 2, "b.*": 0.5}, validation="v.txt")
    assert texts(data, "train") == [["red moon."], ["blue", "green"]]
    assert [weight for _, weight in data.corpora("train")] == [2, 0.5]
    assert [part.name for part in data.parts("train")] == [
        "TextFiles-train-1-a.txt",
        "TextFiles-train-2-b",
    ]
    assert texts(data, "validation") == [["moon"]]
    assert set(data.sources("train")) == {"a.txt", "b.jsonl.gz"}
    assert ["".join(d.pieces) for d in data.documents("train")] == ["red moon.", "blue", "green"]


def test_each_source_gives_its_part_for_validation(write: Write) -> None:
    for name in "ab":
        write(f"{name}.txt", "\n\n".join(f"{name} {sentences(3, n)}" for n in range(31)))
    data = characters({"a.txt": 1, "b.txt": 3}, document_separator="\n\n", validation_share=0.2)
    train, validation = texts(data, "train"), texts(data, "validation")
    for part, name in enumerate("ab"):
        assert train[part] + validation[part] == Path(f"{name}.txt").read_text().split("\n\n")
        assert 4 <= len(validation[part]) <= 8


def test_rows_with_classes_are_mixed_too(write: Write) -> None:
    write("a.csv", "text,label\nx,1\ny,0\n")
    write("b.csv", "text,label\nz,2\n")
    data = labelled({"a.csv": 1, "b.csv": 2}, validation="a.csv")
    assert texts(data, "train") == [["x", "y"], ["z"]]
    assert data.labels == ("0", "1", "2")
    assert [corpus.labels.tolist() for corpus, _ in data.corpora("train")] == [[1, 0], [2]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (
            {"a.txt": 1, "*.txt": 2},
            "data.train must name each file once, but a.txt is in a.txt and in *.txt.",
        ),
        (
            {"a.txt": 0.0},
            "data.train must give each source a weight above 0, but a.txt has 0.0; "
            "2 is twice an epoch, 0.5 every other epoch.",
        ),
        (
            {"a.txt": float("nan")},
            "data.train must give each source a weight above 0, but a.txt has nan; "
            "2 is twice an epoch, 0.5 every other epoch.",
        ),
        (
            {"a.txt": "x"},
            "data.train must give each source a weight above 0, but a.txt has 'x'; "
            "2 is twice an epoch, 0.5 every other epoch.",
        ),
        (
            {"a.txt": True},
            "data.train must give each source a weight above 0, but a.txt has True; "
            "2 is twice an epoch, 0.5 every other epoch.",
        ),
    ],
)
def test_faulty_mixtures_are_refused(write: Write, train: Any, sentence: str) -> None:
    write("a.txt", "one")
    with pytest.raises(ConfigError) as raised:
        characters(train).prepare_data()
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoding": "utf-99"}, "There is no encoding 'utf-99'; mostly it is utf-8."),
        ({"on_error": "pass"}, "on_error must be stop or skip, not 'pass'."),
    ],
)
def test_faulty_options_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        characters("a.txt", **options)
    assert str(raised.value) == sentence


def test_a_folder_is_read_whole(write: Write) -> None:
    Path("texts/more").mkdir(parents=True)
    write("texts/more/b.txt", "blue")
    write("texts/c.csv", "text\nred\n")
    write("v.txt", "lamp")
    assert texts(characters("texts", validation="v.txt"), "train") == [["red", "blue"]]


def test_another_encoding_and_way_of_reading_is_another_source(write: Write) -> None:
    write("a.txt", "one")
    states = {
        characters("a.txt", **options).sources("train")["a.txt"]
        for options in (
            {},
            {"encoding": "latin-1"},
            {"on_error": "skip"},
            {"text": "body"},
            {"document_separator": "\n"},
        )
    }
    assert len(states) == 5


def test_faulty_rows_stop_the_reading_or_are_left_out_and_counted(write: Write) -> None:
    path = write("a.jsonl", '{"text": "one"}\n{"text": 3}\n{"txt": "x"}\n{"text": "two"}\n{"text"')
    bad = write("b.txt", b"three\n\0\1")
    with pytest.raises(DataError, match="line 2 must have text in 'text', but has the value 3"):
        characters(["a.jsonl", "b.txt"]).prepare_data()
    data = characters(["a.jsonl", "b.txt"], validation="a.jsonl", on_error="skip")
    assert texts(data, "train") == [["one", "two", "three\n"]]
    (part,) = data.parts("train")
    assert part.reading is not None
    for _ in range(2):  # a second reading counts anew
        assert len([list(document.pieces) for document in part.documents()]) == 3
        assert part.reading.skipped == 4
        assert part.reading.bytes_read == part.reading.total_bytes
    assert part.reading.total_bytes == path.stat().st_size + bad.stat().st_size
    assert [reason.split(" ", 1)[0] for reason in part.reading.first] == ["a.jsonl,"] * 3 + [
        "b.txt,"
    ]


def test_faulty_labels_are_left_out_where_the_user_says_so(write: Write) -> None:
    values = [1, 0, "1", True, 1.0, float("nan"), None, -1, -100, 0, "", [1]]
    lines = [json.dumps({"text": f"t{n}", "label": value}) for n, value in enumerate(values)]
    write("a.jsonl", "\n".join(lines))
    write("v.csv", "text,label\nx,1\n")
    data = labelled("a.jsonl", validation="a.jsonl", on_error="skip")
    assert texts(data, "train") == [["t0", "t1", "t9"]]
    assert data.labels == ("0", "1")
    (part,) = data.parts("train")
    assert part.reading is not None
    assert len(list(part.documents())) == 3
    assert part.reading.skipped == 9
    other = labelled("a.jsonl", validation="v.csv", on_error="skip")
    with pytest.raises(DataError):  # all of it is left out
        other.corpora("validation")


def test_the_draw_of_validation_rows_is_that_of_their_numbers(write: Write) -> None:
    write("a.csv", "\n".join(["text,label", *(f"t{n},{n % 2}" for n in range(9001))]))
    data = labelled("a.csv", validation_share=0.3)
    train, validation = (
        [next(iter(d.pieces)) for d in data.documents(s)] for s in ("train", "validation")
    )  # type: ignore[arg-type]
    assert sorted([*train, *validation]) == sorted(f"t{n}" for n in range(9001))
    assert len(validation) == pytest.approx(0.3 * 9001, rel=0.05)
    some = (0, 1, 4095, 4096, 4097, 9000)
    assert [f"t{n}" in validation for n in some] == [
        bool(uniform(0, "validation", n) < 0.3) for n in some
    ]


def test_what_a_user_gave_is_left_as_it_was(write: Write) -> None:
    path = write("a.csv", "text,label\nx,1\ny,0\nz,bad,1\n")
    before = path.stat()
    with pytest.raises(DataError):
        labelled("a.csv").prepare_data()
    labelled("a.csv", on_error="skip", validation="a.csv").prepare_data()
    after = path.stat()
    assert (before.st_mtime_ns, before.st_mode, before.st_size) == (
        after.st_mtime_ns,
        after.st_mode,
        after.st_size,
    )
    assert {p.name for p in Path().iterdir()} == {"a.csv", "cache"}
