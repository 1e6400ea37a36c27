"""The list of bad files: what each is answered with, and that it can be skipped and counted."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from bad_files import BAD_FILES, BAD_ROWS, GOOD_ROWS, NEVER, BadFile, page
from modules import labelled
from pyarrow import ipc, parquet

from lightformer.data.reading import Reading, blocks, json_rows, lines
from lightformer.data.reading.rows import Row
from lightformer.data.reading.sources import read_rows, read_texts
from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]
PAGE = Path(__file__).parents[3] / "docs" / "bad-files.md"
IDS = [bad.name for bad in BAD_FILES]


def read(path: Path, reading: Reading) -> list[str]:
    return ["".join(blocks) for blocks in read_texts(str(path), reading, "text", None)]


def sentence_of(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        read(path, Reading())
    return str(raised.value)


@pytest.mark.parametrize("bad", BAD_FILES, ids=IDS)
def test_what_is_wrong_is_named(write: Write, bad: BadFile) -> None:
    path = write(bad.name, bad.content)
    assert sentence_of(path) == f"{path}{bad.reason}"
    assert path.read_bytes() == bad.content


@pytest.mark.parametrize("size", [1, 3, 1 << 17])
@pytest.mark.parametrize("bad", [bad for bad in BAD_FILES if bad.left_out != NEVER])
def test_it_can_be_skipped_and_counted(
    write: Write, monkeypatch: pytest.MonkeyPatch, bad: BadFile, size: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    path, reading = write(bad.name, bad.content), Reading(on_error="skip")
    assert read(path, reading) == list(bad.kept)
    assert (reading.skipped, reading.first) == (1, [f"{path}{bad.reason}"])


@pytest.fixture
def beside_good_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: BadFile
) -> dict[str, Any]:
    """Options for a bad file for training or validation."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train", "validation"):
        Path(folder).mkdir()
        Path(folder, "good.csv").write_bytes(GOOD_ROWS)
    Path(bad.name).write_bytes(bad.content)
    return {"train": "train", "validation": "validation"}


@pytest.mark.parametrize("bad", BAD_ROWS, ids=[bad.name for bad in BAD_ROWS])
def test_what_is_wrong_with_a_row_with_a_class_is_named(
    beside_good_rows: dict[str, Any], bad: BadFile
) -> None:
    with pytest.raises(DataError) as raised:
        labelled(**beside_good_rows).prepare_data()
    assert str(raised.value) == f"{bad.name}{bad.reason}"
    assert Path(bad.name).read_bytes() == bad.content


@pytest.mark.parametrize("bad", BAD_ROWS, ids=[bad.name for bad in BAD_ROWS])
def test_a_row_with_a_class_can_be_skipped_and_counted(
    beside_good_rows: dict[str, Any], bad: BadFile
) -> None:
    data = labelled(**beside_good_rows, on_error="skip")
    (part,) = data.parts(bad.name.split("/")[0])  # type: ignore[arg-type]
    found = ["".join(document.pieces) for document in part.documents()]
    assert sorted(found) == sorted(["one", "two", *bad.kept])
    assert part.reading is not None
    assert part.reading.skipped == 1


def test_the_page_in_the_docs_is_this_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python tests/data/reading/bad_files.py > docs/bad-files.md"
    )


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
    path, reading = write("a.csv", b'text\none\n"two\n\xff\n\0'), Reading(on_error="skip")
    assert read(path, reading) == ["one"]
    assert reading.skipped == 1


@pytest.mark.parametrize("size", [5, 1 << 17])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "shift_jis"])
def test_of_many_lines_those_with_a_fault_are_left_out(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int, encoding: str
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    monkeypatch.setattr(blocks, "HELD", 17)  # most lines are longer
    draw, lines, kept, places, length = random.Random(5), [], [], [], 0
    for number in range(211):
        text = f"{number} {'日本 ab ' * draw.randrange(7)}"
        line = (json.dumps({"text": text}, ensure_ascii=False) + "\r\n").encode(encoding)
        if draw.random() < 0.3:
            faults = ["\0".encode(encoding), b"\x00\xd8" if encoding == "utf-16-le" else b"\xff"]
            place = draw.randrange(4) * 2
            line = line[:place] + faults[draw.randrange(2)] * draw.randint(1, 3) + line[place:]
            places.append((number + 1, length + place))
        else:
            kept.append(text)
        lines.append(line)
        length += len(line)
    path, reading = write("a.jsonl", b"".join(lines)), Reading(encoding, on_error="skip")
    assert read(path, reading) == kept
    assert reading.skipped == len(places) > 50
    for (line_number, byte), sentence in zip(places, reading.first, strict=False):
        assert sentence.startswith(f"{path}, line {line_number} ")
        assert f"byte {byte}" in sentence
    text_file = write("a.txt", b"".join(lines))
    expected = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in kept)
    monkeypatch.setattr(blocks, "HELD", 1 << 16)
    assert read(text_file, Reading(encoding, on_error="skip")) == [expected]


def test_of_a_line_that_is_too_long_to_wait_for_the_rest_is_left_out(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(blocks, "HELD", 7)
    content = b"one\n" + b"two " * 31 + b"\xff\n\xff" + b"three " * 31 + b"\nfour\n"
    reading = Reading(on_error="skip")
    (text,) = read(write("a.txt", content), reading)
    start, end = text[:-5], text[-5:]
    assert ("one\n" + "two " * 31).startswith(start.removesuffix("\n"))
    assert len(start) > 4 * 31 - 14
    assert (start[-1], end) == ("\n", "four\n")
    assert reading.skipped == 2


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
    reading = Reading(on_error="skip")
    path.write_text(path.read_text() + '{"text": "c"}\n')
    assert read(path, reading) == ["a", "c"]
    assert reading.skipped == 1
    path = write("a.json", f'[{{"text": "{"b" * 101}"}}]')
    assert sentence_of(path) == (
        f"{path} is longer than 53 characters, which a .json file may have; write it as .jsonl, "
        "one object a line."
    )


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_value_of_a_table_may_be_as_long_as_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 53)
    path, reading = tmp_path / f"a.{kind}", Reading(on_error="skip")
    table = pyarrow.table({"text": ["a" * 53, "b" * 54, "日" * 53]})
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    assert sentence_of(path) == (
        f"{path}, row 2 is longer than 53 characters, which a row may have; cut it into several, "
        "or write the text to a .txt file."
    )
    assert read(path, reading) == ["a" * 53, "日" * 53]
    assert reading.skipped == 1


def test_a_parquet_file_that_tells_of_rows_too_long_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": ["a", "b", "c" * 997, "d"]})
    parquet.write_table(table, path, row_group_size=2, use_dictionary=False)
    monkeypatch.setattr(lines, "LONGEST", 101)
    data = bytearray(path.read_bytes())
    data[10:30] = b"?" * 20  # of the first group, which is not looked at
    path.write_bytes(data)
    reading = Reading(on_error="skip")
    assert read(path, reading) == []
    assert reading.first == [
        f"{path}, a row of row group 2 is longer than 101 characters, which a row may have; "
        "cut it into several, or write the text to a .txt file."
    ]


def test_of_a_row_that_is_too_long_little_is_held(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 1 << 20)
    path = write("a.jsonl", b'{"text": "' + b"b" * 20_000_003 + b'"}\n{"text": "c"}')
    tracemalloc.start()
    assert read(path, Reading(on_error="skip")) == ["c"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


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


def test_only_the_first_faults_are_told(write: Write) -> None:
    reading = Reading(on_error="skip")
    content: Any = '{"text": 1}\n' * 101 + '{"text": "a"}\n'
    assert read(write("a.jsonl", content), reading) == ["a"]
    assert (reading.skipped, len(reading.first)) == (101, 20)
    reading.restart()
    assert reading == Reading(on_error="skip")
