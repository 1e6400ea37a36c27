"""Rows are read as they are written."""

from __future__ import annotations

import builtins
import csv
import gzip
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import ipc, parquet

from lightformer.data.reading import Reading, blocks, lines
from lightformer.data.reading.rows import column
from lightformer.data.reading.sources import read_rows, read_texts
from lightformer.errors import ConfigError, DataError

Write = Callable[[str, "str | bytes"], Path]


def rows(path: Path | str) -> list[dict[str, Any]]:
    return [dict(row) for _, row in read_rows(str(path), Reading())]


def places(path: Path | str) -> list[str]:
    return [where for where, _ in read_rows(str(path), Reading())]


def test_words_that_look_like_nothing_stay_words(write: Write) -> None:
    expected = [{"text": "NA", "label": "null"}, {"text": "nan\u2028x", "label": "3"}]
    assert rows(write("a.csv", "text,label\nNA,null\n\nnan\u2028x,3\n")) == expected
    assert rows(write("a.tsv", "text\tlabel\nNA\tnull\n\nnan\u2028x\t3\n")) == expected
    jsonl = '{"text": "NA", "label": "null"}\n\n{"text": "nan\u2028x", "label": "3"}'
    assert rows(write("a.jsonl", jsonl)) == expected
    assert rows(write("a.json", json.dumps(expected))) == expected


def test_quotes_hold_separators_and_line_ends(write: Write) -> None:
    path = write("a.csv", '\ufefftext, label\r\n"one, ""two""\r\nthree",x\r\nlast,y')
    assert rows(path) == [
        {"text": 'one, "two"\nthree', "label": "x"},
        {"text": "last", "label": "y"},
    ]
    assert places(path) == [f"{path}, line 2", f"{path}, line 4"]


@pytest.mark.parametrize("size", [1, 3, 17, 1 << 17])
@pytest.mark.parametrize("held", [0, 1 << 16])
def test_rows_do_not_depend_on_blocks(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int, held: int
) -> None:
    draw = random.Random(size)
    texts = ["".join(draw.choices('ab ,"\n日\t', k=draw.randrange(1, 31))) for _ in range(101)]
    table = write("a.csv", "")
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "n"], *zip(texts, range(101), strict=True)])
    lines = write("a.jsonl", "\n".join(json.dumps({"text": t}, ensure_ascii=False) for t in texts))
    packed = write("b.csv.gz", gzip.compress(table.read_bytes()))
    monkeypatch.setattr(blocks, "BLOCK", size)
    monkeypatch.setattr(blocks, "HELD", held)
    expected = [t.replace("\r\n", "\n") for t in texts]
    assert [row["text"] for row in rows(lines)] == texts
    assert [row["text"] for row in rows(table)] == expected
    assert [row["n"] for row in rows(packed)] == list(map(str, range(101)))


def test_a_field_may_be_long(write: Write) -> None:
    assert len(rows(write("a.csv", f"text\n{'x' * 200_003}\n"))[0]["text"]) == 200_003


def test_a_list_of_objects_is_read(write: Write) -> None:
    path = write("a.json", '[{"sentence": "a", "label": 1},\n {"sentence": "b", "label": 0}]')
    assert rows(path) == [{"sentence": "a", "label": 1}, {"sentence": "b", "label": 0}]
    assert places(path) == [f"{path}, row 1", f"{path}, row 2"]


def test_parquet_is_read_and_its_progress_told(tmp_path: Path) -> None:
    path, reading = tmp_path / "a.parquet", Reading()
    table = pyarrow.table(
        {"text": [f"NA {n}" for n in range(3001)], "label": [1, 0, 2] * 1000 + [7]}
    )
    parquet.write_table(table, path, row_group_size=1999)
    assert rows(path) == table.to_pylist()
    assert places(path)[-1] == f"{path}, row 3001"
    done = [reading.bytes_read for _ in read_rows(str(path), reading)]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] == path.stat().st_size


def write_arrow(table: pyarrow.Table, path: Path) -> None:
    with ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)


TABLES = [("a.parquet", parquet.write_table), ("a.arrow", write_arrow)]


@pytest.mark.parametrize(("name", "save"), TABLES)
def test_a_column_of_a_table_that_is_not_needed_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, save: Callable[..., None]
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 53)
    path, far = tmp_path / name, pyarrow.array([1 << 62, 3], pyarrow.timestamp("us"))
    table = pyarrow.table(
        {"picture": ["red" * 997, "blue" * 997], "text": ["one", "two"], "s.t": [5, 7], "far": far}
    )
    save(table, path)
    needed = read_rows(str(path), Reading(), ["text", "s.t", "label"])
    blank = {"picture": None, "far": None}
    assert [row for _, row in needed] == [
        {"text": "one", "s.t": 5, **blank},
        {"text": "two", "s.t": 7, **blank},
    ]
    with pytest.raises(DataError) as raised:
        list(read_texts(str(path), Reading(), "txt", None))
    assert str(raised.value) == (
        f"{path}, row 1 has no 'txt'. Did you mean 'text'? Columns: far, picture, s.t, text."
    )


@pytest.mark.parametrize(("name", "save"), TABLES)
def test_a_value_of_a_table_that_python_cannot_hold_is_a_fault_where_it_is_used(
    tmp_path: Path, name: str, save: Callable[..., None]
) -> None:
    path, far = tmp_path / name, pyarrow.array([3, 1 << 62], pyarrow.timestamp("us"))
    save(pyarrow.table({"text": ["one", "two"], "far": far}), path)
    first, (where, second) = read_rows(str(path), Reading())
    assert column(*first, "far").year == 1970
    assert column(where, second, "text") == "two"
    with pytest.raises(DataError) as raised:
        column(where, second, "far")
    assert (
        str(raised.value)
        == f"{path}, row 2 has in 'far' what cannot be read (date value out of range)."
    )


@pytest.mark.parametrize(("name", "save"), TABLES)
def test_a_column_that_is_twice_in_a_table_is_named(
    tmp_path: Path, name: str, save: Callable[..., None]
) -> None:
    path = tmp_path / name
    save(pyarrow.table([["one"], [1], [2]], names=["text", "n", "n"]), path)
    with pytest.raises(DataError) as raised:
        list(read_texts(str(path), Reading(), "text", None))
    assert str(raised.value) == f"{path} names the column 'n' twice; rename one."


def test_what_the_datasets_library_saves_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data-00000-of-00001.arrow"
    table = pyarrow.table({"text": ["one", "NA"], "label": [1, 0]})
    with ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table, max_chunksize=1)
    assert rows(path) == table.to_pylist()
    path.write_bytes(path.read_bytes()[:-99])
    with pytest.raises(DataError) as raised:
        rows(path)
    assert str(raised.value).startswith(f"{path} is no whole Arrow file (")


def test_blank_texts_are_left_out(write: Write) -> None:
    path = write("a.jsonl", '{"text": " one"}\n{"text": ""}\n{"text": "\\n "}\n{"text": "two"}')
    assert ["".join(t) for t in read_texts(str(path), Reading(), "text", None)] == [" one", "two"]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(title: str, *args: Any, **kwargs: Any) -> Any:
        if title.split(".")[0] == "datasets":
            raise ImportError(title)
        return original(title, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError) as raised:
        rows("datasets:imdb:train")
    assert str(raised.value) == (
        "datasets:imdb:train needs the datasets library; "
        "install it with pip install 'lightformer[datasets]'."
    )


def test_of_a_data_set_other_columns_are_not_loaded(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "data").mkdir()
    table = pyarrow.table({"text": ["a b", "c"], "picture": [b"1", b"2"]})
    parquet.write_table(table, tmp_path / "data" / "train-0.parquet")
    name = f"datasets:{tmp_path}:train"
    found = [row for _, row in read_rows(name, Reading(), ["text"])]
    assert found == [{"text": "a b", "picture": None}, {"text": "c", "picture": None}]
    assert [row["picture"] for _, row in read_rows(name, Reading())] == [b"1", b"2"]
    with pytest.raises(DataError) as raised:
        list(read_texts(name, Reading(), "txet", None))
    assert (
        str(raised.value)
        == f"{name}, row 1 has no 'txet'. Did you mean 'text'? Columns: picture, text."
    )


def test_data_sets_are_read_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        @staticmethod
        def load_dataset(path: str, configuration: str | None, split: str, streaming: bool) -> Any:
            assert streaming
            yield {"text": f"{path} {configuration} {split}"}
            raise ConnectionError("the network\nis gone")

    monkeypatch.setitem(sys.modules, "datasets", Fake)
    name = "datasets:Salesforce/wikitext@wikitext-2-raw-v1:train"
    stream = read_rows(name, Reading())
    expected = {"text": "Salesforce/wikitext wikitext-2-raw-v1 train"}
    assert next(stream) == (f"{name}, row 1", expected)
    with pytest.raises(DataError) as raised:
        next(stream)
    assert str(raised.value) == f"{name} cannot be loaded (the network is gone)."
    with pytest.raises(ConfigError) as misnamed:
        rows("datasets:imdb")
    assert str(misnamed.value) == (
        "A data set is named as datasets:NAME:SPLIT or datasets:NAME@CONFIGURATION:SPLIT, "
        "not datasets:imdb."
    )
