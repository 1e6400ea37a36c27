"""Documents and sentences of a stream are those of the whole text, wherever a block ends."""

from __future__ import annotations

import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightformer.data.reading import Reading, blocks
from lightformer.data.reading.documents import documents
from lightformer.data.sentences import split_sentences, stream_sentences
from lightformer.errors import DataError

Write = Callable[[str, "str | bytes"], Path]
ALPHABETS = ["aB. \n", "aB.!?)\"' \n\t[", "x。！”） \n", "ab", "aB.\n\n\n  ", " \n"]  # noqa: RUF001
BORDER = re.compile(
    r"""[.!?]["')\]]{0,64}(?=\s{1,64}["'(\[`*]?[A-Z0-9])  # the end of a sentence
      | [。！？]["”’）]{0,64}
      | (?<=\S)(?=[ \t]{0,64}\n[ \t]{0,64}\n)            # the end of a paragraph
    """,  # noqa: RUF001
    re.VERBOSE,
)


def text_of(draw: random.Random) -> str:
    if draw.random() < 0.3:
        words = ["One two.", "three", "\n\n", "\t\n\n", "End!)", "Four"]
        return " ".join(draw.choices(words, k=draw.randrange(701)))
    alphabet = draw.choice(ALPHABETS)
    return "".join(draw.choices(alphabet, k=draw.choice([0, 1, 5, 53, 701, 9001])))


def cut(text: str, most: int, draw: random.Random) -> Iterator[str]:
    while text:
        size = draw.randint(1, most)
        yield text[:size]
        text = text[size:]


def sentences_of_whole(text: str) -> list[str]:
    """Finds all borders first, then the places where a long stretch is cut."""
    pieces, start = [], 0
    for border in [*(match.end() for match in BORDER.finditer(text)), len(text)]:
        while border - start > 4000:
            space = text.rfind(" ", start + 1, start + 4000)
            pieces.append(text[start : space if space > start else start + 4000])
            start += len(pieces[-1])
        if text[start:border].strip():
            pieces.append(text[start:border])
            start = border
    if text[start:]:
        pieces[-1:] = [(pieces[-1] if pieces else "") + text[start:]]
    return pieces


@pytest.mark.parametrize("seed", range(83))
def test_sentences_do_not_depend_on_blocks(seed: int) -> None:
    draw = random.Random(seed)
    text = text_of(draw)
    expected = sentences_of_whole(text)
    assert split_sentences(text) == expected
    assert "".join(expected) == text
    for most in (1, 3, 67, 503, 5003):
        assert list(stream_sentences(cut(text, most, draw))) == expected


@pytest.mark.parametrize("run", [")", "\n"])
def test_a_border_that_is_seen_from_far_does_not_depend_on_blocks(run: str) -> None:
    text = ("One!" + run * 53 + " " * 61 + '"Two。' + "”" * 61) * 3
    expected = sentences_of_whole(text)
    assert len(expected) > 5
    for place in range(len(text)):
        assert list(stream_sentences([text[:place], text[place:]])) == expected


def documents_of(path: Path, separator: str | None) -> list[str]:
    return ["".join(document) for document in documents(path, separator, Reading())]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 17])
@pytest.mark.parametrize("separator", ["\n\n", "--\n--", "a", "abab"])
@pytest.mark.parametrize("seed", range(5))
def test_documents_do_not_depend_on_blocks(
    write: Write, monkeypatch: pytest.MonkeyPatch, size: int, separator: str, seed: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    letters = random.Random(seed).choices(["\n", "-", "a", "b", " ", separator], k=151)
    text = "".join(["x", *letters])
    expected = [part.strip("\n") for part in text.split(separator) if part.strip()]
    assert documents_of(write("a.txt", text), separator) == expected


def test_a_file_is_one_document_where_nothing_separates(write: Write) -> None:
    assert documents_of(write("a.txt", " one\n\n\n\ntwo \n\n"), None) == [" one\n\n\n\ntwo \n\n"]
    assert documents_of(write("a.txt", " one\n\n\n\ntwo \n\n"), "\n\n") == [" one", "two "]


def test_a_document_that_is_not_read_to_its_end_is_passed_over(write: Write) -> None:
    path = write("a.txt", "one two|three|four")
    assert [next(document) for document in documents(path, "|", Reading())] == [
        "one two",
        "three",
        "four",
    ]


def test_text_before_a_fault_is_kept_where_faults_are_skipped(write: Write) -> None:
    path = write("a.txt", b"one|two\nth\xffree|four")
    reading = Reading(on_error="skip")
    assert ["".join(d) for d in documents(path, "|", reading)] == ["one", "two"]
    assert reading.skipped == 1
    assert reading.first == [
        f"{path}, line 2 is not utf-8: byte 10 is 0xff; convert the file, or set data.encoding."
    ]
    with pytest.raises(DataError, match="line 2 is not utf-8"):
        documents_of(path, "|")
    reading.restart()
    assert list(documents(write("b.txt", b"\0\1\2"), None, reading)) == []
    assert reading.skipped == 1


def test_of_much_white_space_in_front_little_is_held(write: Write) -> None:
    path = write("a.txt", b" " * 40_000_003 + b"one")
    tracemalloc.start()
    (document,) = documents(path, None, Reading())
    text = "".join(document)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert text.strip() == "one"
    assert 4_000_000 < len(text) < 9_000_000
    assert peak < 20_000_000
