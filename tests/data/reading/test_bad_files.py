"""The list of bad files: what each is answered with, and that it can be skipped and counted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from lightformer.data.reading import Reading, blocks, json_rows, lines
from lightformer.data.reading.rows import Row
from lightformer.data.reading.sources import read_rows, read_texts
from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]
WRONG_KIND = (
    " is of an unknown kind; it must be one of .txt, .jsonl, .json, .csv, .tsv, .parquet, "
    "or one of these with .gz or .zst."
)
BAD_NAME: list[tuple[str, bytes, str]] = [
    ("rows.docx", b"x", WRONG_KIND),
    ("rows", b"x", WRONG_KIND),
    (
        "rows.parquet.gz",
        b"x",
        " must be unpacked first; .parquet files are compressed inside.",
    ),
    ("rows.txt.zst.gz", b"x", WRONG_KIND),
]
WHOLE_FILE: list[tuple[str, bytes, str]] = [
    ("empty.txt", b"", " is empty."),
    ("empty.txt.gz", b"", " is empty."),
    ("empty.txt.zst", b"", " is empty."),
    ("empty.csv", b"", " is empty."),
    ("blank.txt", b"\n\t\r\n", " holds only blank lines."),
    ("blank.jsonl", b" \n\n", " holds only blank lines."),
    ("binary.txt", b"\x7fELF\x02\0", ", line 1 has a NUL byte (byte 5): this is not a text file."),
    ("nul.csv", b"text\na\0b", ", line 2 has a NUL byte (byte 6): this is not a text file."),
    ("header.csv", b"text,label\n\n", " has no rows."),
    ("twice.tsv", b"text\ta\ttext\n", ", line 1 names the column 'text' twice; rename one."),
    (
        "quote.csv",
        b'text,"label\none,1\n',
        ", line 1 cannot be read: unexpected end of data; is a quote left open?",
    ),
    (
        "after.csv",
        b'"text"x,label\ntext,1\none,2\n',
        ", line 1 cannot be read: ',' expected after '\"'; is a quote left open?",
    ),
    (
        "alone.jsonl",
        b'{"text"\n',
        ", line 1, column 8 is broken JSON: Expecting ':' delimiter.",
    ),
    (
        "broken.json",
        b'[\n{"text": "a"},\n{"text"',
        ", line 3, column 8 is broken JSON: Expecting ':' delimiter.",
    ),
    (
        "lines.json",
        b'{"text": "a"}\n{"text": "b"}\n',
        ", line 2, column 1 is broken JSON: Extra data; is it one object a line, it is .jsonl.",
    ),
    ("object.json", b'{"text": "a"}', " must be a list of objects, but is an object."),
    ("none.json", b"[]", " has no rows."),
    ("deep.json", b"[" * 99_999, " is broken JSON: it is nested too deeply."),
    ("no.gz.txt.gz", b"one two", " cannot be read (Not a gzipped file (b'on'))."),
    (
        "no.zst.txt.zst",
        b"one two",
        " cannot be read (ZSTD decompress failed: Unknown frame descriptor).",
    ),
]
ONE_ROW: list[tuple[str, bytes, str]] = [
    (
        "latin.jsonl",
        b'{"text": "a"}\n{"text": "\xfcber"}\n',
        ", line 2 is not utf-8: byte 24 is 0xfc; convert the file, or set data.encoding.",
    ),
    (
        "quote.csv",
        b'text,label\none,1\ntwo,"2\nthree,3\n',
        ", line 3 cannot be read: unexpected end of data; is a quote left open?",
    ),
    (
        "after.csv",
        b'text\n"one" 1\ntwo\n',
        ", line 2 cannot be read: ',' expected after '\"'; is a quote left open?",
    ),
    (
        "extra.csv",
        b"text,label\n\none,1\ntwo,2,extra\n",
        ", line 4 has 3 columns, but the header has 2; put quotes around text that holds the "
        "separator.",
    ),
    (
        "short.tsv",
        b"text\tlabel\none\ntwo\t2\n",
        ", line 2 has 1 columns, but the header has 2; put quotes around text that holds the "
        "separator.",
    ),
    (
        "broken.jsonl",
        b'{"text": "a"}\n{"text": \n{"text": "b"}\n',
        ", line 2, column 10 is broken JSON: Expecting value.",
    ),
    (
        "cut.jsonl",
        b'{"text": "a"}\n\n{"text": "b',
        ", line 3, column 10 is broken JSON: Unterminated string starting at.",
    ),
    (
        "digits.jsonl",
        b'{"text": "a"}\n{"label": ' + b"1" * 9999 + b"}\n",
        ", line 2 is broken JSON: Exceeds the limit (4300 digits) for integer string conversion: "
        "value has 9999 digits; use sys.set_int_max_str_digits() to increase the limit.",
    ),
    (
        "list.jsonl",
        b'["b"]\n{"text": "a"}\n',
        ", line 1 must be an object such as {'text': ...}, but is a list.",
    ),
    (
        "twice.jsonl",
        b'{"text": "a"}\n{"text": "a", "b": 1, "text": "b"}\n',
        ", line 2 has the key 'text' twice; keep one.",
    ),
    (
        "twice.json",
        b'[{"text": "a"},\n{"b": 1, "b": 2}]',
        ", row 2 has the key 'b' twice; keep one.",
    ),
    (
        "null.json",
        b'[null, {"text": "a"}]',
        ", row 1 must be an object such as {'text': ...}, but is null.",
    ),
    (
        "field.jsonl",
        b'{"text": "a"}\n{"txt": "b"}\n',
        ", line 2 has no 'text'. Did you mean 'txt'? Columns: txt.",
    ),
    (
        "null.jsonl",
        b'{"text": null}\n{"text": "b"}\n',
        ", line 1 must have text in 'text', but has null.",
    ),
    (
        "number.jsonl",
        b'{"text": 3}\n{"text": "b"}\n',
        ", line 1 must have text in 'text', but has the value 3.",
    ),
    (
        "half.jsonl",
        b'{"text": "a"}\n{"text": "ab\\ud800"}\n',
        ", line 2 must have text in 'text', but character 3 is half a character (\\ud800).",
    ),
]


def read(path: Path, reading: Reading) -> list[str]:
    return ["".join(blocks) for blocks in read_texts(str(path), reading, "text", None)]


def sentence_of(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        read(path, Reading())
    return str(raised.value)


@pytest.mark.parametrize(("name", "content", "reason"), BAD_NAME + WHOLE_FILE + ONE_ROW)
def test_what_is_wrong_is_named(write: Write, name: str, content: bytes, reason: str) -> None:
    path = write(name, content)
    assert sentence_of(path) == f"{path}{reason}"
    assert path.read_bytes() == content


@pytest.mark.parametrize(("name", "content", "reason"), WHOLE_FILE + ONE_ROW)
def test_it_can_be_skipped_and_counted(
    write: Write, name: str, content: bytes, reason: str
) -> None:
    path, reading = write(name, content), Reading(on_error="skip")
    found = read(path, reading)
    assert (reading.skipped, reading.first) == (1, [f"{path}{reason}"])
    assert bool(found) == ((name, content, reason) in ONE_ROW)


def test_rows_after_a_faulty_one_are_read(write: Write) -> None:
    path = write("a.csv", 'text,n\none,1\ntwo\n"x"y,2\nthree,3\n')
    reading = Reading(on_error="skip")
    assert read(path, reading) == ["one", "three"]
    assert reading.skipped == 2


@pytest.mark.parametrize(
    ("ending", "pack", "cut"),
    [
        (".gz", gzip.compress, "Compressed file ended before the end-of-stream marker was reached"),
        (
            ".zst",
            lambda data: pyarrow.compress(data, codec="zstd", asbytes=True),
            "Truncated compressed stream",
        ),
    ],
)
def test_a_cut_archive_is_read_as_far_as_it_is_whole(
    write: Write, ending: str, pack: Callable[[bytes], bytes], cut: str
) -> None:
    text = "".join(f'{{"text": "{n * n * 7919 % 10007} {n}"}}\n' for n in range(40_009))
    whole = pack(text.encode())
    path, reading = write(f"a.jsonl{ending}", whole[: -len(whole) // 3]), Reading(on_error="skip")
    found = read(path, reading)
    assert 5000 < len(found) < 40_009
    assert all(row.endswith(f" {n}") for n, row in enumerate(found))
    expected = f"{path} can be read up to line {len(found) + 1} only ({cut}); copy it anew."
    assert reading.first == [expected]
    assert sentence_of(path) == expected


def test_a_table_that_is_cut_inside_a_quote_is_one_fault(write: Write) -> None:
    path, reading = write("a.csv", b'text\none\n"two\n\xff'), Reading(on_error="skip")
    assert read(path, reading) == ["one"]
    assert reading.skipped == 1


def test_what_is_too_long_for_memory_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(blocks, "HELD", 7)
    monkeypatch.setattr(lines, "LONGEST", 53)
    monkeypatch.setattr(json_rows, "LARGEST", 53)
    path = write("a.jsonl", f'{{"text": "a"}}\n{{"text": "{"b" * 101}"}}\n')
    assert sentence_of(path) == (
        f"{path}, line 2 is longer than 53 characters, which a row may have; cut it into several, "
        "or write the text to a .txt file."
    )
    path = write("a.json", f'[{{"text": "{"b" * 101}"}}]')
    assert sentence_of(path) == (
        f"{path} is longer than 53 characters, which a .json file may have; write it as .jsonl, "
        "one object a line."
    )


def rows(path: Path) -> list[Row]:
    return list(read_rows(str(path), Reading()))


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["one"] * 2003}), path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError) as raised:
        rows(path)
    assert str(raised.value).startswith(f"{path} is no whole Parquet file (")
    assert len(str(raised.value).splitlines()) == 1


def test_a_text_has_no_columns(write: Write) -> None:
    path = write("a.txt", "one")
    with pytest.raises(DataError) as raised:
        rows(path)
    assert str(raised.value) == (
        f"{path} has no columns; give a .csv, .tsv, .jsonl, .json or .parquet file."
    )


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_a_file_that_vanished_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "(No such file or directory)" in sentence_of(path)
    assert str(path) in sentence_of(path)


def test_a_file_that_changes_while_it_is_read_is_named(write: Write) -> None:
    path = write("a.txt", "one\n" * 99_991)
    (document,) = read_texts(str(path), Reading(), "text", None)
    next(iter(document))
    with path.open("a") as file:
        file.write("more")
    with pytest.raises(DataError) as raised:
        list(document)
    assert str(raised.value) == f"{path} changed while it was read; start again when it rests."


def test_only_the_first_faults_are_told(write: Write) -> None:
    reading = Reading(on_error="skip")
    content: Any = '{"text": 1}\n' * 101 + '{"text": "a"}\n'
    assert read(write("a.jsonl", content), reading) == ["a"]
    assert (reading.skipped, len(reading.first)) == (101, 20)
    reading.restart()
    assert reading == Reading(on_error="skip")
