"""The text of a file is the same, whatever the size of the blocks in which it is read."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pytest

from lightformer.data.reading import Reading, blocks
from lightformer.data.reading.blocks import check_encoding, text_blocks
from lightformer.data.reading.documents import documents
from lightformer.data.sentences import stream_sentences
from lightformer.errors import ConfigError, DataError

Write = Callable[[str, "str | bytes"], Path]
TEXT = " one\r\n\tÜber\r\rtwo\n\n\r\n\u2028end 日本\ufeff 𝄞 \r"
PLAIN = TEXT.replace("𝄞", "").replace("\u2028", "").replace("\ufeff", "")


def until_fault(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    for block in text_blocks(path, Reading(encoding)):
        if isinstance(block, DataError):
            raise block
        yield block


def read(path: Path, encoding: str = "utf-8") -> str:
    return "".join(until_fault(path, encoding))


def zstd(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1 << 17])
@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", TEXT),
        ("utf-8-sig", TEXT),
        ("utf-16", TEXT),
        ("utf-32-le", TEXT),
        ("gb18030", TEXT),
        ("shift_jis", PLAIN.replace("Ü", "U")),
        ("latin-1", "Über\r\n\x85\r"),
    ],
)
def test_text_is_read_as_python_reads_it(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int, encoding: str, text: str
) -> None:
    path = write("a.txt", text.encode(encoding))
    monkeypatch.setattr(blocks, "BLOCK", size)
    assert read(path, encoding) == path.read_text(encoding)
    assert read(write("b.txt.gz", gzip.compress(text.encode(encoding))), encoding) == (
        path.read_text(encoding)
    )


@pytest.mark.parametrize("size", [1, 2, 4, 1 << 17])
def test_a_byte_order_mark_is_dropped_at_the_front_alone(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    assert read(write("a.txt", b"\xef\xbb\xbfone\xef\xbb\xbf")) == "one\ufeff"


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".ZST", zstd)])
def test_compressed_text_may_be_in_several_parts(
    write: Write, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    reading = Reading()
    path = write(f"a.txt{ending}", pack(b"one\n" * 5003) + pack(b"two"))
    assert "".join(text_blocks(path, reading)) == "one\n" * 5003 + "two"
    assert reading.bytes_read == path.stat().st_size


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1 << 17])
@pytest.mark.parametrize(
    ("content", "encoding", "before", "reason"),
    [
        (b"", "utf-8", "", " is empty."),
        (b"\xef\xbb\xbf", "utf-8", "", " is empty."),
        (b"\n \r\n\t\n", "utf-8", "\n \n\t\n", " holds only blank lines."),
        (b"  ", "utf-8", "  ", " holds only blank lines."),
        (
            b"one\r\ntwo\0three\nfour",
            "utf-8",
            "one\n",
            ", line 2 has a NUL byte (byte 8): this is not a text file.",
        ),
        (
            "one\nÜ\0\xff".encode("utf-16-le"),
            "utf-16-le",
            "one\n",
            ", line 2 has a NUL byte (byte 10): this is not a text file.",
        ),
        (
            b"one\ntwo\r\xe2\x80\xffee",
            "utf-8",
            "one\ntwo\n",
            ", line 3 is not utf-8: byte 8 is 0xe2; convert the file, or set data.encoding.",
        ),
        (
            b"one\n\xe6\x97",
            "utf-8",
            "one\n",
            ", line 2 is not utf-8: byte 4 is 0xe6; convert the file, or set data.encoding.",
        ),
        (
            b"one\n\0\xff",
            "utf-8",
            "one\n",
            ", line 2 has a NUL byte (byte 4): this is not a text file.",
        ),
        (
            b"one\n\x1b$B\xff\n",
            "iso2022_jp",
            "one\n",
            ", line 2 is not iso2022_jp: byte 7 is 0xff; convert the file, or set data.encoding.",
        ),
        (
            b"one\n\xff\0",
            "shift_jis",
            "one\n",
            ", line 2 is not shift_jis: byte 4 is 0xff; convert the file, or set data.encoding.",
        ),
    ],
)
def test_what_is_no_text_is_named_with_its_place(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    content: bytes,
    encoding: str,
    before: str,
    reason: str,
) -> None:
    path = write("a.txt", content)
    monkeypatch.setattr(blocks, "BLOCK", size)
    given: list[str] = []
    with pytest.raises(DataError) as raised:
        given.extend(until_fault(path, encoding))
    assert str(raised.value) == f"{path}{reason}"
    assert "".join(given) == before


def test_a_mark_that_lacks_is_named(write: Write) -> None:
    with pytest.raises(DataError, match=r"a.txt, line 1 is not utf-16: .*data.encoding"):
        read(write("a.txt", b"ab"), "utf-16")


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-99",
        "hex",
        "rot13",
        "punycode",
        "idna",
        "undefined",
        "",
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
    ],
)
def test_an_unknown_encoding_is_named(encoding: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_encoding(encoding)
    assert str(raised.value) == f"There is no encoding {encoding!r}; mostly it is utf-8."


@pytest.mark.parametrize("held", [0, 5, 1 << 16])
def test_a_long_line_is_given_before_its_end(
    write: Write, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(blocks, "HELD", held)
    path = write("a.txt", "one\n\n" + "two " * 23 + "\nthree")
    assert read(path) == path.read_text()
    given = list(text_blocks(path, Reading()))
    assert all(given)
    assert max(map(len, given)) <= max(held + 7, len("two " * 23) * (held > 99) + 7)


def test_a_text_of_one_line_is_read_in_little_memory(write: Write) -> None:
    content = b"One two. Three four five six " * 300_007
    path = write("a.txt", content)
    tracemalloc.start()
    (document,) = documents(path, None, Reading())
    length = sum(map(len, stream_sentences(document)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == len(content)
    assert peak < len(content) / 4
