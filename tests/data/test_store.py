from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lightformer.data.sentences import Document
from lightformer.data.store import open_store, read_meta, verify_store, write_store
from lightformer.data.store.layout import digest_of
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import DataError, StorageError
from lightformer.tokenizer import Tokenizer, TokenizerConfig

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
    assert corpus.tokens.dtype == np.uint8
    assert isinstance(corpus.tokens, np.memmap)
    meta = json.loads((tmp_path / "s/meta.json").read_text())
    assert meta["tokenizer"] == {
        "fingerprint": letters.fingerprint,
        "kind": "WordLevel",
        "size": len(letters),
    }
    assert meta["sources"] == {"x.txt": "abc"}
    assert (meta["tokens"], meta["sentences"], meta["documents"]) == (13, 6, 3)


def test_the_store_is_the_same_however_it_is_cut(tmp_path: Path, letters: Tokenizer) -> None:
    for number, shard in enumerate([1, 2, 3, 1000]):
        write_store(tmp_path / f"{number}", DOCUMENTS, letters, 3, shard=shard)
    stores = [open_store(tmp_path / f"{number}") for number in range(4)]
    for corpus in stores[1:]:
        assert corpus.tokens.tolist() == stores[0].tokens.tolist()
        assert corpus.sentences.tolist() == stores[0].sentences.tolist()
        assert corpus.documents.tolist() == stores[0].documents.tolist()


class Piece(str):
    """Counts how many of its kind there are."""

    alive = most = 0

    def __init__(self, _text: str) -> None:
        Piece.alive += 1
        Piece.most = max(Piece.most, Piece.alive)

    def __del__(self) -> None:
        Piece.alive -= 1

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def test_a_document_is_never_held_whole(tmp_path: Path, letters: Tokenizer) -> None:
    pieces = map(Piece, ["abcdefg"] * 7001)
    write_store(tmp_path / "s", [Document(pieces)], letters, None, shard=70)  # type: ignore[arg-type]
    assert open_store(tmp_path / "s").tokens.size == 49007
    assert 10 <= Piece.most < 700


@pytest.mark.parametrize("shard", [1, 3, 100])
def test_labels_and_empty_columns_are_kept(tmp_path: Path, letters: Tokenizer, shard: int) -> None:
    rows = [Document(["ab", "c"], 1), Document(["a", ""], 0), Document(["", ""], 2)]
    write_store(tmp_path / "s", rows, letters, None, shard=shard)
    corpus = open_store(tmp_path / "s")
    assert corpus.labels is not None
    assert isinstance(corpus.labels, np.memmap)
    assert corpus.labels.tolist() == [1, 0, 2]
    assert corpus.sentences.tolist() == [0, 2, 3, 4, 4, 4, 4]
    assert corpus.documents.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(("size", "bytes_"), [(256, 1), (257, 2), (65536, 2), (65537, 4)])
def test_tokens_take_no_more_bytes_than_they_need(tmp_path: Path, size: int, bytes_: int) -> None:
    text = "".join(map(chr, range(0x20000, 0x20000 + size - 5)))  # and five special tokens
    tokenizer = train_tokenizer(iter([text]), TokenizerConfig("characters"))
    assert len(tokenizer) == size
    write_store(tmp_path / "s", [Document([text[-7:]])], tokenizer, None)
    corpus = open_store(tmp_path / "s")
    assert corpus.tokens.itemsize == bytes_
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
    verify_store(folder)
    whole = (folder / "tokens.bin").read_bytes()
    (folder / "tokens.bin").write_bytes(whole[:-4])
    for read in (open_store, verify_store):
        assert refused(read, folder) == (
            f"{folder} is damaged (tokens.bin should hold 13 bytes and holds 9); "
            "delete the folder, it is made again."
        )
    (folder / "tokens.bin").unlink()
    assert refused(open_store, folder) == (
        f"{folder} is damaged (tokens.bin: No such file or directory); "
        "delete the folder, it is made again."
    )
    (folder / "meta.json").write_text('{"format": 3, "files": {}}')
    assert refused(open_store, folder) == (
        f"{folder} is damaged (meta.json is not what was written); "
        "delete the folder, it is made again."
    )
    (folder / "meta.json").write_text('{"format": 99}')
    assert refused(open_store, folder) == (
        f"{folder} has format 99, but this version reads 3; delete the folder, it is made again."
    )
    (folder / "meta.json").write_text('{"format"')
    assert refused(open_store, folder) == (
        f"{folder} is damaged (meta.json cannot be read); delete the folder, it is made again."
    )
    assert refused(open_store, tmp_path) == (
        f"{tmp_path} is no store of tokens, since it has no meta.json; "
        "name a folder that lightformer prepare has made."
    )


@pytest.mark.parametrize(
    "edit",
    [
        {"separator": 2},
        {"dtype": "<f2"},
        {"made": None},
        {"tokens": "13"},
        {"files": {"../x": {"bytes": 0, "blake2b": ""}}},
        {"digest": None},
        {"more": 1},
    ],
)
def test_a_meta_that_was_edited_is_refused(
    tmp_path: Path, letters: Tokenizer, edit: dict[str, object]
) -> None:
    folder = tmp_path / "s"
    write_store(folder, DOCUMENTS, letters, 3, {"\udce9 日.txt": "abc"})
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(dict(reversed(meta.items()))))  # laid out anew
    assert open_store(folder).num_documents == 3
    changed = {k: v for k, v in {**meta, **edit}.items() if v is not None}
    (folder / "meta.json").write_text(json.dumps(changed))
    assert refused(open_store, folder) == (
        f"{folder} is damaged (meta.json is not what was written); "
        "delete the folder, it is made again."
    )


def test_what_cannot_be_mapped_is_damaged(tmp_path: Path, letters: Tokenizer) -> None:
    folder = tmp_path / "s"
    write_store(folder, DOCUMENTS, letters, 3)
    meta = read_meta(folder)
    meta["files"]["tokens.bin"]["bytes"] = 0  # as if it became so after it was looked at
    (folder / "meta.json").write_text(json.dumps({**meta, "digest": digest_of(meta)}))
    (folder / "tokens.bin").write_bytes(b"")
    assert refused(open_store, folder) == (
        f"{folder} is damaged (cannot mmap an empty file); delete the folder, it is made again."
    )


@pytest.mark.parametrize(
    "name", ["tokens.bin", "sentences.bin", "documents.bin", "shards.jsonl", "tokenizer.json"]
)
def test_one_flipped_bit_is_found(tmp_path: Path, letters: Tokenizer, name: str) -> None:
    folder = tmp_path / "s"
    write_store(folder, DOCUMENTS, letters, 3)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 4
    (folder / name).write_bytes(data)
    open_store(folder)
    assert refused(verify_store, folder) == (
        f"{folder} is damaged ({name} is not what was written); delete the folder, it is made again."
    )


def refused(read: Callable[[Path], object], folder: Path) -> str:
    with pytest.raises(DataError) as raised:
        read(folder)
    return str(raised.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, letters: Tokenizer) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file/cache"
    with pytest.raises(StorageError) as raised:
        write_store(target, DOCUMENTS, letters, None)
    assert str(raised.value) == (
        f"{target} cannot be written (Not a directory); set data.cache_dir to a folder that can."
    )
