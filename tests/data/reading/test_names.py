"""What a name stands for: a file, a folder, a pattern, a data set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lightformer.data.reading.names import expand
from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]


def refused(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        expand(str(path), "data.train")
    return str(raised.value)


def test_patterns_are_expanded_in_order_and_once(write: Write, tmp_path: Path) -> None:
    names = [str(write(name, "x")) for name in ("b.txt", "a.txt", "c.csv")]
    found = expand([str(tmp_path / "*.txt"), names[0], names[2]], "data.train")
    assert found == [names[1], names[0], names[2]]
    assert expand([], "data.test") == []
    assert expand("datasets:a/b:train", "data.test") == ["datasets:a/b:train"]


def test_a_name_may_hold_signs_of_a_pattern(write: Write) -> None:
    path = str(write("a[1].txt", "x"))
    assert expand(path, "data.train") == [path]


def test_a_folder_is_all_that_can_be_read_in_it(tmp_path: Path) -> None:
    names = ["b.txt", "a/z.jsonl.gz", "a/b.CSV", "c.parquet", "d.txt.zst"]
    others = ["README.md", ".hidden.txt", ".git/x.txt", "a/z.txt.part", "e.gz"]
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    expected = [str(tmp_path / name) for name in sorted(names)]
    assert expand(str(tmp_path), "data.train") == expected


def test_a_saved_data_set_is_the_files_that_it_names(tmp_path: Path) -> None:
    names = ["data-00001-of-00002.arrow", "data-00000-of-00002.arrow"]
    for name in (*names, "cache-1.arrow"):
        (tmp_path / name).write_text("x")
    state = {"_data_files": [{"filename": name} for name in names]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert expand(str(tmp_path), "data.train") == [str(tmp_path / name) for name in names]
    (tmp_path / "state.json").write_text("[]")
    assert refused(tmp_path) == (
        f"{tmp_path / 'state.json'} does not say which files the saved data set has."
    )


def test_a_saved_data_set_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "../../x.arrow"}]}')
    assert expand(str(tmp_path), "data.train") == [str(tmp_path / "x.arrow")]


def test_of_several_saved_splits_one_is_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{}")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert refused(tmp_path) == (
        f"data.train: {tmp_path} holds several splits; name one, as in {tmp_path / 'train'}. "
        "Splits: test, train."
    )


def test_missing_files_are_named(write: Write, tmp_path: Path) -> None:
    write("train.txt", "x")
    assert refused(tmp_path / "trian.txt") == (
        f"data.train: there is no file {tmp_path / 'trian.txt'}. Did you mean 'train.txt'? "
        f"In {tmp_path}: train.txt."
    )
    assert refused(tmp_path / "none/x.txt") == (
        f"data.train: there is no file {tmp_path / 'none/x.txt'}. "
        f"There is no folder {tmp_path / 'none'} either."
    )


def test_a_folder_without_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    assert refused(tmp_path) == (
        f"data.train: the folder {tmp_path} has no file that can be read; there must be one of "
        ".txt, .jsonl, .json, .csv, .tsv, .parquet, or one of these with .gz or .zst."
    )


def test_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    for path in (tmp_path / "a.txt", Path(os.devnull)):
        assert refused(path) == (
            f"data.train: {path} is a pipe or a device; write what it gives to a file."
        )
    assert refused(tmp_path / "*.txt").startswith("data.train: there is no file")
