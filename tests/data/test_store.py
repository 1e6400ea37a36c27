from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lightformer.data.cache import publish
from lightformer.data.sentences import Document
from lightformer.data.store import open_store, write_store
from lightformer.data.tokenizer import Tokenizer, TokenizerConfig
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import DataError, StorageError

DOCUMENTS = [
    Document(["ab", " cd", "e"]),
    Document([" "]),
    Document(["f", "", "gh"]),
]


@pytest.fixture
def letters() -> Tokenizer:
    return train_tokenizer(iter(["abcdefgh "]), TokenizerConfig("characters"))


def test_what_is_written_is_read(tmp_path: Path, letters: Tokenizer) -> None:
    write_store(tmp_path / "s", DOCUMENTS, letters, 3, {"x.txt": "abc"})
    corpus = open_store(tmp_path / "s")
    text = letters.decode(corpus.tokens, skip_special_tokens=False)
    assert text == "ab cde[SEP] [SEP]fgh[SEP]"
    assert corpus.sentences.tolist() == [0, 2, 5, 7, 9, 10, 13]
    assert corpus.documents.tolist() == [0, 3, 4, 6]
    assert corpus.separator == 3
    assert corpus.tokens.dtype == np.uint16
    assert isinstance(corpus.tokens, np.memmap)
    meta = json.loads((tmp_path / "s/meta.json").read_text())
    assert meta["tokenizer"] == letters.fingerprint
    assert meta["sources"] == {"x.txt": "abc"}
    assert (meta["tokens"], meta["sentences"], meta["documents"]) == (13, 6, 3)


def test_many_documents_are_written_in_parts(tmp_path: Path, letters: Tokenizer) -> None:
    documents = [Document(["abcdefgh" * 9000, "a" * (i + 1)]) for i in range(17)]
    write_store(tmp_path / "s", iter(documents), letters, None)
    corpus = open_store(tmp_path / "s")
    assert np.diff(corpus.bounds()).tolist() == [72001 + i for i in range(17)]
    assert np.diff(corpus.documents).tolist() == [2] * 17


def test_labels_and_empty_columns_are_kept(tmp_path: Path, letters: Tokenizer) -> None:
    rows = [Document(["ab", "c"], 1), Document(["a", ""], 0)]
    write_store(tmp_path / "s", rows, letters, None)
    corpus = open_store(tmp_path / "s")
    assert corpus.labels is not None
    assert corpus.labels.tolist() == [1, 0]
    assert corpus.sentences.tolist() == [0, 2, 3, 4, 4]


def test_many_token_ids_take_four_bytes(tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 20000)))
    text += "".join(map(chr, range(0x20000, 0x20000 + 50000)))
    tokenizer = train_tokenizer(iter([text]), TokenizerConfig("characters"))
    write_store(tmp_path / "s", [Document([text[-7:]])], tokenizer, None)
    corpus = open_store(tmp_path / "s")
    assert corpus.tokens.dtype == np.uint32
    assert tokenizer.decode(corpus.tokens) == text[-7:]


def test_nothing_is_left_of_a_store_that_failed(tmp_path: Path, letters: Tokenizer) -> None:
    def documents():  # type: ignore[no-untyped-def]
        yield DOCUMENTS[0]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        write_store(tmp_path / "s", documents(), letters, None)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_write_is_refused(tmp_path: Path, letters: Tokenizer) -> None:
    with pytest.raises(DataError) as raised:
        write_store(tmp_path / "s", [], letters, None, {"x.txt": "abc"})
    assert str(raised.value) == "There is no text in x.txt: not one token came out of it."
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_refused(tmp_path: Path, letters: Tokenizer) -> None:
    folder = tmp_path / "s"
    write_store(folder, DOCUMENTS, letters, 3)
    (folder / "tokens.bin").write_bytes((folder / "tokens.bin").read_bytes()[:-4])
    with pytest.raises(DataError) as raised:
        open_store(folder)
    assert str(raised.value) == (
        f"{folder} is damaged (it should hold 13 tokens and holds 11); delete the folder, "
        "it is made again."
    )
    (folder / "meta.json").write_text('{"format": 99}')
    with pytest.raises(DataError) as raised:
        open_store(folder)
    assert str(raised.value) == (
        f"{folder} has format 99, but this version reads 1; delete the folder, it is made again."
    )


def test_of_two_at_once_one_wins_and_both_go_on(tmp_path: Path) -> None:
    target, barrier = tmp_path / "deep/er/s", threading.Barrier(5)

    def make(number: int) -> None:
        with publish(target) as folder:
            (folder / "a").write_text(str(number))
            barrier.wait()
            (folder / "b").write_text(str(number))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(make, range(5)))
    assert (target / "a").read_text() == (target / "b").read_text()
    assert [path.name for path in target.parent.iterdir()] == ["s"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file/cache"
    with pytest.raises(StorageError) as raised, publish(target):
        pass
    assert str(raised.value) == (
        f"{target} cannot be written (File exists); set data.cache_dir to a folder that can."
    )
