"""What files hold is remembered, and read anew when it may have changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightformer.data import cache
from lightformer.data.cache import file_digests
from lightformer.data.sentences import Document
from lightformer.data.store import verify_store, write_store
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import DataError
from lightformer.tokenizer import TokenizerConfig

SETTLED = 0.01  # seconds, and more than the clock of a disk needs


def expected(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SETTLED", SETTLED)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, as they are read."""
    found: list[str] = []
    read = cache.file_digest
    monkeypatch.setattr(cache, "file_digest", lambda p: (found.append(p.name), read(p))[1])
    return found


def old(path: Path, text: str, age: float = 7) -> Path:
    """Writes a file, and waits until it has rested as long as the tests ask for."""
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    time.sleep(2 * SETTLED)
    return path


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, reads: list[str]) -> None:
    a, b = old(tmp_path / "a", "red"), old(tmp_path / "b", "blue")
    names, folder = [str(a), str(b)], tmp_path / "cache"
    for _ in range(3):
        assert file_digests(names, folder) == {str(p): expected(p) for p in (a, b)}
    assert reads == ["a", "b"]
    old(a, "rod", age=5)  # of the same size
    assert file_digests(names, folder)[str(a)] == expected(a)
    old(b, "bluer")
    assert file_digests(names, folder)[str(b)] == expected(b)
    assert reads == ["a", "b", "a", "b"]
    assert [path.name for path in folder.iterdir()] == ["digests.json"]


def test_the_name_of_a_file_is_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    a = old(tmp_path / "a", "red")
    monkeypatch.chdir(tmp_path)
    assert file_digests(["a"], tmp_path) == {"a": expected(a)}
    assert file_digests([str(a)], tmp_path) == {str(a): expected(a)}
    assert reads == ["a"]


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_change_is_seen_that_keeps_size_and_time(
    tmp_path: Path, reads: list[str], how: str
) -> None:
    a, b = old(tmp_path / "a", "red"), tmp_path / "b"
    time_of = a.stat()
    assert file_digests([str(a)], tmp_path) == {str(a): expected(a)}
    target = a if how == "in place" else b
    target.write_text("rod")
    os.utime(target, ns=(time_of.st_atime_ns, time_of.st_mtime_ns))  # as cp -p, tar and rsync do
    target.replace(a)
    assert (a.stat().st_size, a.stat().st_mtime_ns) == (3, time_of.st_mtime_ns)
    assert file_digests([str(a)], tmp_path) == {str(a): expected(a)}
    assert reads == ["a", "a"]


def test_a_file_that_was_just_written_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.setattr(cache, "_SETTLED", 7)
    a, now = tmp_path / "a", time.time() - 70
    for text in ("red", "rod"):  # as fast as the clock of the disk cannot tell
        a.write_text(text)
        os.utime(a, (now, now))
        assert file_digests([str(a)], tmp_path) == {str(a): expected(a)}
    assert reads == ["a", "a"]


@pytest.mark.parametrize(
    "memory", ["", "{", "[]", "null", '{"a": 1}', '{"a": [1, 2]}', '{"a": {}}', "\0"]
)
def test_a_memory_that_is_torn_is_no_matter(tmp_path: Path, memory: str) -> None:
    a = old(tmp_path / "a", "red")
    (tmp_path / "digests.json").write_text(memory)
    assert file_digests([str(a)], tmp_path) == {str(a): expected(a)}
    assert json.loads((tmp_path / "digests.json").read_text())[str(a)][-1] == expected(a)


def test_a_memory_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    a = old(tmp_path / "a", "red")
    assert file_digests([str(a)], a / "cache") == {str(a): expected(a)}


def test_many_at_once_leave_a_whole_memory(tmp_path: Path) -> None:
    files = [old(tmp_path / f"{i}", "x" * i) for i in range(23)]
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda p: file_digests([str(p)], tmp_path / "cache"), files * 3))
    assert {k: v for one in found for k, v in one.items()} == {str(p): expected(p) for p in files}
    memory = json.loads((tmp_path / "cache/digests.json").read_text())
    assert memory
    assert all(value[-1] == expected(Path(path)) for path, value in memory.items())
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        file_digests([str(tmp_path / "no")], tmp_path)
    assert str(raised.value) == f"{tmp_path / 'no'} cannot be read (No such file or directory)."


def test_a_store_is_read_once_for_its_digests_until_it_changes(
    tmp_path: Path, reads: list[str]
) -> None:
    tokenizer = train_tokenizer(iter(["red moon"]), TokenizerConfig("characters"))
    store, memory = tmp_path / "s", tmp_path / "cache"
    write_store(store, [Document(["red moon"])], tokenizer, 3)
    files = sorted(path.name for path in store.iterdir() if path.name != "meta.json")
    time.sleep(2 * SETTLED)
    for _ in range(3):
        verify_store(store, memory)
    assert sorted(reads) == files
    verify_store(store)  # without a memory
    assert sorted(reads) == sorted(files * 2)
    data = (store / "tokens.bin").read_bytes()
    (store / "tokens.bin").write_bytes(data[::-1])
    with pytest.raises(DataError) as raised:
        verify_store(store, memory)
    assert str(raised.value) == (
        f"{store} is damaged (tokens.bin is not what was written); "
        "delete the folder, it is made again."
    )
