"""Bad files are answered with one sentence that names file, line and reason."""

from __future__ import annotations

import builtins
import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightformer.data.files import read_records, read_text, text_column
from lightformer.data.sources import expand, records, texts
from lightformer.errors import ConfigError, DataError

Write = Callable[[str, "str | bytes"], Path]


def rows(path: Path) -> list[dict[str, Any]]:
    return [dict(record) for _, record in read_records(path)]


def test_text_is_read_as_it_is_but_for_mark_and_line_ends(write: Write) -> None:
    path = write("a.txt", b"\xef\xbb\xbf one\r\n\ttwo \rthree\n\n\xe2\x80\xa8end ")
    assert read_text(path) == " one\n\ttwo \nthree\n\n\u2028end "


def test_text_of_another_encoding_is_read(write: Write) -> None:
    assert read_text(write("a.txt", "Über".encode("latin-1")), "latin-1") == "Über"


def test_compressed_text_is_read(write: Write) -> None:
    assert read_text(write("a.txt.gz", gzip.compress(b"one"))) == "one"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", " is empty."),
        (b"\n \r\n\t\n", " holds only blank lines."),
        (b"\xef\xbb\xbf", " is empty."),
        (b"one\ntwo\0", ", line 2 has a NUL byte: this is not a text file."),
        (
            b"one\ntwo\nth\xffee",
            ", line 3 is not utf-8: byte 10 is 0xff; convert the file, or set data.encoding.",
        ),
    ],
)
def test_what_is_no_text_is_named(write: Write, content: bytes, reason: str) -> None:
    path = write("a.txt", content)
    with pytest.raises(DataError) as raised:
        read_text(path)
    assert str(raised.value) == f"{path}{reason}"


def test_an_unknown_encoding_is_named(write: Write) -> None:
    with pytest.raises(ConfigError) as raised:
        read_text(write("a.txt", "x"), "utf-99")
    assert str(raised.value) == "There is no encoding 'utf-99'; mostly it is utf-8."


def test_a_broken_archive_is_named(write: Write) -> None:
    path = write("a.txt.gz", gzip.compress(b"one" * 999)[:-9])
    with pytest.raises(DataError) as raised:
        read_text(path)
    assert str(raised.value).startswith(f"{path} cannot be read (Compressed file ended")


def test_words_that_look_like_nothing_stay_words(write: Write) -> None:
    expected = [{"text": "NA", "label": "null"}, {"text": "nan\u2028x", "label": "3"}]
    assert rows(write("a.csv", "text,label\nNA,null\n\nnan\u2028x,3\n")) == expected
    assert rows(write("a.tsv", "text\tlabel\nNA\tnull\n\nnan\u2028x\t3\n")) == expected
    jsonl = '{"text": "NA", "label": "null"}\n\n{"text": "nan\u2028x", "label": "3"}'
    assert rows(write("a.jsonl", jsonl)) == expected


def test_quotes_hold_separators_and_line_ends(write: Write) -> None:
    path = write("a.csv", '\ufefftext,label\r\n"one, ""two""\r\nthree",x\r\nlast,y')
    assert rows(path) == [
        {"text": 'one, "two"\nthree', "label": "x"},
        {"text": "last", "label": "y"},
    ]
    assert [where for where, _ in read_records(path)] == [f"{path}, line 2", f"{path}, line 4"]


def test_a_field_may_be_long(write: Write) -> None:
    assert len(rows(write("a.csv", f"text\n{'x' * 200_003}\n"))[0]["text"]) == 200_003


def test_a_list_of_objects_is_read(write: Write) -> None:
    path = write("a.json", '[{"sentence": "a", "label": 1},\n {"sentence": "b", "label": 0}]')
    assert rows(path) == [{"sentence": "a", "label": 1}, {"sentence": "b", "label": 0}]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.csv",
            'text,label\none,1\ntwo,"2\nthree,3\n',
            ", line 3 cannot be read: unexpected end of data; is a quote left open?",
        ),
        (
            "a.csv",
            "text,label\none,1\ntwo,2,extra\n",
            ", line 3 has 3 columns, but the header has 2; put quotes around text that holds the "
            "separator.",
        ),
        ("a.tsv", "text\ta\ttext\n", ", line 1 names the column 'text' twice; rename one."),
        (
            "a.jsonl",
            '{"text": "a"}\n{"text": \n',
            ", line 2, column 10 is broken JSON: Expecting value.",
        ),
        (
            "a.jsonl",
            '{"text": "a"}\n["b"]\n',
            ", line 2 must be an object such as {'text': ...}, but is a list.",
        ),
        ("a.jsonl", '{"text": "a", "text": "b"}', ", line 1 has the key 'text' twice; keep one."),
        (
            "a.json",
            '[\n{"text": "a"},\n{"text"',
            ", line 3, column 8 is broken JSON: Expecting ':' delimiter.",
        ),
        ("a.json", '{"text": "a"}', " must be a list of objects, but is an object."),
        ("a.json", "[]", " has no rows."),
        ("a.csv", "text,label\n\n", " has no rows."),
        ("a.json", "[null]", ", row 1 must be an object such as {'text': ...}, but is null."),
        ("a.txt", "one", " has no columns; give a .csv, .tsv, .jsonl, .json or .parquet file."),
        (
            "a.docx",
            "one",
            " is of an unknown kind; it must be one of .txt, .jsonl, .json, .csv, .tsv, .parquet, "
            "or one of these with .gz.",
        ),
    ],
)
def test_faulty_records_are_named(write: Write, name: str, content: str, reason: str) -> None:
    path = write(name, content)
    with pytest.raises(DataError) as raised:
        rows(path)
    assert str(raised.value) == f"{path}{reason}"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataError) as raised:
        text_column("a.jsonl, line 3", {"txt": "a", "label": 1}, "text")
    assert str(raised.value) == (
        "a.jsonl, line 3 has no 'text'. Did you mean 'txt'? Columns: label, txt."
    )


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "null"), (3, "the value 3"), (["a"], "a list")]
)
def test_a_field_that_is_not_text_is_named(value: object, shown: str) -> None:
    with pytest.raises(DataError) as raised:
        text_column("a.jsonl, line 3", {"text": value}, "text")
    assert str(raised.value) == f"a.jsonl, line 3 must have text in 'text', but has {shown}."


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["NA", "b"], "label": [1, 0]}), path)
    assert rows(path) == [{"text": "NA", "label": 1}, {"text": "b", "label": 0}]
    assert [where for where, _ in read_records(path)] == [f"{path}, row 1", f"{path}, row 2"]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError) as raised:
        rows(path)
    assert str(raised.value).startswith(f"{path} is no whole Parquet file (")


@pytest.mark.parametrize(
    ("module", "name", "sentence"),
    [
        (
            "pyarrow",
            "a.parquet",
            "needs pyarrow to be read; install it with pip install 'lightformer[parquet]'.",
        ),
        (
            "datasets",
            "datasets:imdb:train",
            "needs the datasets library; install it with pip install 'lightformer[datasets]'.",
        ),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, sentence: str
) -> None:
    original = builtins.__import__

    def without(title: str, *args: Any, **kwargs: Any) -> Any:
        if title.split(".")[0] == module:
            raise ImportError(title)
        return original(title, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError) as raised:
        list(records(name, "utf-8"))
    assert str(raised.value) == f"{name} {sentence}"


def test_data_sets_are_read_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        @staticmethod
        def load_dataset(path: str, configuration: str | None, split: str, streaming: bool) -> Any:
            assert streaming
            return [{"text": f"{path} {configuration} {split}"}]

    monkeypatch.setitem(sys.modules, "datasets", Fake)
    name = "datasets:Salesforce/wikitext@wikitext-2-raw-v1:train"
    assert list(records(name, "utf-8")) == [
        (f"{name}, row 1", {"text": "Salesforce/wikitext wikitext-2-raw-v1 train"})
    ]
    with pytest.raises(ConfigError) as raised:
        list(records("datasets:imdb", "utf-8"))
    assert str(raised.value) == (
        "A data set is named as datasets:NAME:SPLIT or datasets:NAME@CONFIGURATION:SPLIT, "
        "not datasets:imdb."
    )


def test_patterns_are_expanded_in_order_and_once(write: Write, tmp_path: Path) -> None:
    names = [str(write(name, "x")) for name in ("b.txt", "a.txt", "c.csv")]
    found = expand([str(tmp_path / "*.txt"), names[0], names[2]], "data.train")
    assert found == [names[1], names[0], names[2]]
    assert expand(None, "data.test") == []


def test_missing_files_are_named(write: Write, tmp_path: Path) -> None:
    write("train.txt", "x")
    with pytest.raises(DataError) as raised:
        expand(str(tmp_path / "trian.txt"), "data.train")
    assert str(raised.value) == (
        f"data.train: there is no file {tmp_path / 'trian.txt'}. Did you mean 'train.txt'? "
        f"In {tmp_path}: train.txt."
    )
    with pytest.raises(DataError) as raised:
        expand(str(tmp_path / "none/x.txt"), "data.test")
    assert str(raised.value) == (
        f"data.test: there is no file {tmp_path / 'none/x.txt'}. "
        f"There is no folder {tmp_path / 'none'} either."
    )
    with pytest.raises(DataError) as raised:
        expand(str(tmp_path), "data.train")
    assert str(raised.value) == (
        f"data.train: {tmp_path} is a folder; write {tmp_path / '*.txt'} or the like."
    )


def test_documents_are_the_file_or_what_a_separator_divides(write: Write) -> None:
    path = str(write("a.txt", " one\ntwo\n\n\n\nthree \n\n"))
    assert list(texts(path, "utf-8", None)) == [" one\ntwo\n\n\n\nthree \n\n"]
    assert list(texts(path, "utf-8", "\n\n")) == [" one\ntwo", "three "]
