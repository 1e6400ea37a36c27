"""What was begun: gone on with, dropped, or left to another process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from corpora import sentences

from lightformer.data.folders import made_once, publish
from lightformer.data.sentences import Document, split_sentences
from lightformer.data.store import note_changes, open_store, write_store
from lightformer.data.store.encoder import Encoded, Encoder
from lightformer.data.store.growing import GrowingFile
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.errors import DataError, StorageError
from lightformer.tokenizer import Tokenizer, TokenizerConfig

TEXTS = [Document(split_sentences(sentences(11 + i, i))) for i in range(23)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter([sentences(97, 0)]), TokenizerConfig("bpe", vocab_size=83))


@pytest.fixture
def write(tmp_path: Path, tokenizer: Tokenizer) -> Callable[..., Path]:
    def write(name: str, documents: object = TEXTS, /, **options: object) -> Path:
        options = {"tokenizer": tokenizer, "sources": {"a.txt": "1"}, "name": "it", **options}
        write_store(tmp_path / name, documents, separator=3, shard=1009, **options)  # type: ignore[arg-type]
        return tmp_path / name

    return write


class Stopped(BaseException):
    """Stands for Ctrl-C."""


def stopping(after: int) -> Iterator[Document]:
    yield from TEXTS[:after]
    raise Stopped


@pytest.fixture
def begun(tmp_path: Path, write: Callable[..., Path]) -> Path:
    """The folder of a store that was stopped."""
    with pytest.raises(Stopped):
        write("s", stopping(17))
    assert [path.name for path in tmp_path.iterdir()] == [".s.partial"]
    return tmp_path / ".s.partial"


def same(left: Path, right: Path) -> bool:
    names = {path.name for path in left.iterdir()}
    assert {path.name for path in right.iterdir()} == names
    return all(
        (left / name).read_bytes() == (right / name).read_bytes() for name in names - {"meta.json"}
    )


def test_what_is_done_is_not_done_again(
    begun: Path, write: Callable[..., Path], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = (begun / "shards.jsonl").read_text().splitlines()
    _, (place, _, _) = json.loads(noted[-1])
    assert place[0] > 5
    seen: list[str] = []
    encode = Encoder.__call__
    monkeypatch.setattr(
        Encoder, "__call__", lambda self, pieces: (seen.extend(pieces), encode(self, pieces))[1]
    )
    monkeypatch.setattr("lightformer.data.store.encoding._FEW", 1000)
    folder = write("s")
    left = [piece for document in TEXTS for piece in document.pieces]
    done = sum(len(list(document.pieces)) for document in TEXTS[: place[0]]) + place[1]
    assert seen == left[done:]
    assert same(folder, write("whole"))


@pytest.mark.parametrize("name", ["tokens.bin", "sentences.bin", "documents.bin", "shards.jsonl"])
@pytest.mark.parametrize("place", [0, 0.5, 0.999])
def test_what_was_lost_of_it_is_made_again(
    begun: Path, write: Callable[..., Path], name: str, place: float
) -> None:
    data = bytearray((begun / name).read_bytes())
    data[int(place * len(data))] ^= 1
    (begun / name).write_bytes(data)
    assert same(write("s"), write("whole"))


@pytest.mark.parametrize("lost", [1, 2, 97])
def test_a_torn_end_of_the_journal_is_made_again(
    begun: Path, write: Callable[..., Path], lost: int
) -> None:
    os.truncate(begun / "shards.jsonl", (begun / "shards.jsonl").stat().st_size - lost)
    assert same(write("s"), write("whole"))


def test_what_is_shorter_than_noted_is_made_again(begun: Path, write: Callable[..., Path]) -> None:
    os.truncate(begun / "sentences.bin", 40)
    (begun / "documents.bin").unlink()
    (begun / "meta.json").write_text("{}")
    assert same(write("s"), write("whole"))


@pytest.mark.parametrize("options", [{"sources": {"a.txt": "2"}}, {"labels": ["x"]}, {"name": "i"}])
def test_what_was_begun_of_another_text_is_not_gone_on_with(
    begun: Path, write: Callable[..., Path], options: dict[str, object]
) -> None:
    folder = write("s", TEXTS[:5], **options)
    assert not begun.exists()
    assert open_store(folder).num_documents == 5


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("value", ["[]", "3", "null", '{"x": 1}', '{"sources": null}', "[1, [2]]"])
def test_a_journal_of_another_kind_is_not_gone_on_with(
    begun: Path, write: Callable[..., Path], line: int, value: str
) -> None:
    lines = (begun / "shards.jsonl").read_text().splitlines()
    lines[line] = value
    (begun / "shards.jsonl").write_text("\n".join(lines) + "\n")
    note_changes(begun.parent, "s", "another", {"a.txt": "1"})
    assert same(write("s"), write("whole"))


def test_of_an_error_in_the_text_nothing_is_left(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    def faulty() -> Iterator[Document]:
        yield from TEXTS
        raise DataError("a.txt, line 7 is broken.")

    for documents, sentence in [
        (faulty(), "a.txt, line 7 is broken."),
        ([], "There is no text in a.txt: not one token came out of it."),
        ([Document([""])], "There is no text in a.txt: not one token came out of it."),
    ]:
        with pytest.raises(DataError) as raised:
            write("s", documents)
        assert str(raised.value) == sentence
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_what_is_done_stays(
    tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        append = GrowingFile.append

        def full(file: GrowingFile, data: object) -> None:
            if file.size > 500:
                raise OSError(errno.ENOSPC, "No space left on device")
            append(file, data)

        patch.setattr(GrowingFile, "append", full)
        with pytest.raises(StorageError) as raised:
            write("s")
        assert str(raised.value) == (
            f"{tmp_path / 's'} cannot be written (No space left on device); "
            "set data.cache_dir to a folder that can."
        )
    assert (tmp_path / ".s.partial/shards.jsonl").read_text().count("\n") > 1
    assert same(write("s"), write("whole"))


def test_a_killed_worker_is_said_and_the_next_call_goes_on(
    tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, encode = os.getpid(), Encoder.__call__

    def deadly(self: Encoder, pieces: list[str]) -> Encoded:
        if os.getpid() != parent and TEXTS[19].pieces[3] in pieces:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(self, pieces)

    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "__call__", deadly)
        with pytest.raises(DataError) as raised:
            write("s")
    assert str(raised.value) == (
        "it: a process that makes tokens was killed; mostly there is too little memory. "
        "The same command goes on where it was."
    )
    assert (tmp_path / ".s.partial/shards.jsonl").read_text().count("\n") > 2
    assert same(write("s"), write("whole"))


def test_an_error_of_a_worker_is_raised_here(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(Encoder, "__call__", faulty)
    with pytest.raises(RuntimeError, match="inside"):
        write("s")


def test_of_five_at_once_one_writes_and_the_others_wait(
    tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    together, read = threading.Barrier(5), []

    def documents() -> Iterator[Document]:
        for number, document in enumerate(TEXTS):
            read.append(number)
            yield document

    def make(_: int) -> Path:
        together.wait()
        return write("s", documents())

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(make, range(5))) == {tmp_path / "s"}
    assert read == list(range(23))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    said = capsys.readouterr().err.splitlines()
    assert set(said) <= {f"waiting for another process, which makes {tmp_path / 's'}"}
    assert len(said) <= 4


def test_a_published_folder_is_whole_and_made_once(tmp_path: Path) -> None:
    target, made = tmp_path / "deep/er/t", []

    def make(number: int) -> None:
        with publish(target) as folder:
            if folder is not None:
                made.append(number)
                (folder / "a").write_text(str(number))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(make, range(5)))
    assert (target / "a").read_text() == str(*made)
    assert [path.name for path in target.parent.iterdir()] == ["t"]


def test_of_a_folder_that_is_not_whole_nothing_is_left(tmp_path: Path) -> None:
    def stop() -> None:
        with publish(tmp_path / "u") as folder:
            assert folder is not None
            (folder / "a").write_text("half")
            raise Stopped

    with pytest.raises(Stopped):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_what_changed_since_the_last_store_is_said(
    tmp_path: Path,
    write: Callable[..., Path],
    tokenizer: Tokenizer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = write("it-0", sources={"a.txt": "1", "b.txt": "1", "c.txt": "1"})
    for sources, other in [
        ({"a.txt": "1", "b.txt": "2", "c.txt": "1"}, "b.txt has changed"),
        ({"a.txt": "2", "b.txt": "2", "c.txt": "1"}, "a.txt, b.txt have changed"),
    ]:
        note_changes(tmp_path, "it", tokenizer.fingerprint, sources)
        assert (
            capsys.readouterr().err == f"it: {other} since {old} was made; it is prepared anew.\n"
        )
    note_changes(tmp_path, "it", "another", {"a.txt": "1", "b.txt": "1", "c.txt": "1"})
    assert capsys.readouterr().err == (
        f"it: the tokenizer is another since {old} was made; it is prepared anew.\n"
    )
    note_changes(tmp_path, "it", tokenizer.fingerprint, {f"{n}.txt": "1, skip" for n in "abc"})
    assert capsys.readouterr().err == (
        f"it: the options have changed since {old} was made; it is prepared anew.\n"
    )
    note_changes(tmp_path, "it", tokenizer.fingerprint, {"a.txt": "1"})
    note_changes(tmp_path, "i", tokenizer.fingerprint, {"a.txt": "2"})
    assert capsys.readouterr().err == ""


def test_only_what_nobody_can_go_on_with_is_dropped(
    tmp_path: Path,
    write: Callable[..., Path],
    tokenizer: Tokenizer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped: dict[str, dict[str, object]] = {
        "it-changed": {},
        "it-another-tokenizer": {"tokenizer": train_tokenizer(iter(["abc"]), TokenizerConfig())},
        "it-busy": {},
        "it-1-wiki": {"name": "it-1"},
        "it-of-b": {"sources": {"b.txt": "1"}},
        "it-now": {"sources": {"a.txt": "2, text, None"}},
        "it-other-options": {"sources": {"a.txt": "2, body, None"}},
    }
    for name, options in stopped.items():
        with pytest.raises(Stopped):
            write(name, stopping(17), **options)
    busy = os.open(tmp_path / ".it-busy.partial", os.O_RDONLY)
    fcntl.flock(busy, fcntl.LOCK_EX)  # as one that is being made
    note_changes(tmp_path, "it", tokenizer.fingerprint, {"a.txt": "2, text, None"})
    os.close(busy)
    gone = {".it-changed.partial", ".it-another-tokenizer.partial"}
    left = {f".{name}.partial" for name in stopped} - gone
    assert {path.name for path in tmp_path.iterdir()} == left
    assert capsys.readouterr().err == (
        "it: a.txt has changed since it was begun; what was done of it is dropped.\n" * 2
    )


def test_what_was_begun_with_another_tokenizer_is_gone_on_with_after(
    tmp_path: Path, write: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    with pytest.raises(Stopped):
        write("it-a", stopping(17))
    other = train_tokenizer(iter(["abc"]), TokenizerConfig())
    note_changes(tmp_path, "it", other.fingerprint, {"a.txt": "1"})
    write("it-b", tokenizer=other)
    lines = (tmp_path / ".it-a.partial/shards.jsonl").read_text().splitlines()
    note_changes(tmp_path, "it", tokenizer.fingerprint, {"a.txt": "1"})
    assert (write("it-a") / "shards.jsonl").read_text().splitlines()[: len(lines)] == lines


def test_what_was_begun_of_a_small_file_is_dropped_with_the_next(tmp_path: Path) -> None:
    for name in ("old", "busy"):
        (tmp_path / f".{name}.partial").mkdir()
    busy = os.open(tmp_path / ".busy.partial", os.O_RDONLY)
    fcntl.flock(busy, fcntl.LOCK_EX)
    assert made_once(tmp_path / "t/a.json", lambda: "one").read_text() == "one"
    assert made_once(tmp_path / "t/a.json", lambda: "two").read_text() == "one"
    os.close(busy)
    assert {path.name for path in tmp_path.iterdir()} == {"t", ".busy.partial"}


def test_two_corpora_of_one_name_do_not_wait_for_each_other(
    tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def documents() -> Iterator[Document]:
        yield from TEXTS[:7]
        write("it-2", sources={"b.txt": "1"})  # in the midst of the other
        yield from TEXTS[7:]

    assert same(write("it-1", documents()), write("whole"))
    assert open_store(tmp_path / "it-2").num_documents == 23
    assert "waiting" not in capsys.readouterr().err
