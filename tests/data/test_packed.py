"""Rows of documents: several, or one; none is lost, none is doubled, none runs into another."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from corpora import make_corpus

from lightformer import examples
from lightformer.errors import ConfigError
from lightformer.examples import Batch, Corpus
from lightformer.parts.examples.packed import pack
from lightformer.vocabulary import Vocabulary

SEPARATOR, CLS, SEP = 3, 2, 3


def corpus(sizes: Any, separator: int | None = SEPARATOR) -> Corpus:
    """Documents of one sentence, with so many tokens before the separator; each token names its place."""
    made = make_corpus([[int(size)] for size in sizes], separator)
    return Corpus(made.tokens.astype(np.uint32), made.sentences, made.documents, separator)


def short(count: int = 997, low: int = 5, high: int = 120) -> Any:
    return np.random.default_rng(7).integers(low, high, size=count)


def every(part: examples.Examples, epoch: int = 0) -> Batch:
    return part.batch(np.arange(len(part)), epoch)


def pieces(batch: Batch) -> list[dict[str, list[int]]]:
    """What stands in the rows, document by document, read off the ids."""
    found = []
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"], dtype=torch.bool))
    for row in range(len(mask)):
        own = {key: value[row][mask[row]].tolist() for key, value in batch.items()}
        numbers = own.get("document_ids", [0] * len(own["input_ids"]))
        for number in sorted(set(numbers)):
            places = [i for i, n in enumerate(numbers) if n == number]
            assert places == list(range(places[0], places[-1] + 1))
            found.append({key: [value[i] for i in places] for key, value in own.items()})
    return found


def texts(given: Corpus, framed: bool, width: int) -> Counter[tuple[int, ...]]:
    """The pieces that a row can hold, cut one document at a time."""
    found = []
    for start, stop in zip(given.bounds()[:-1], given.bounds()[1:], strict=True):
        text = given.tokens[start : stop - (framed and given.separator is not None)].tolist()
        for at in range(0, len(text), width):
            piece = text[at : at + width]
            found.append((CLS, *piece, SEP) if framed else tuple(piece))
    return Counter(found)


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize(
    ("sizes", "seq_len"),
    [(short(), 128), (short(211), 31), ([65] * 37, 128), ([3], 11), ([33] * 5, 7)],
)
def test_rows_hold_every_document_once(
    vocabulary: Vocabulary, sizes: Any, seq_len: int, framed: bool
) -> None:
    given = corpus(sizes)
    part = examples.packed(seq_len=seq_len, special_tokens=framed)(given, vocabulary, 3, True)
    expected = texts(given, framed, seq_len - 2 * framed)
    for epoch in (0, 1, 4):
        batch = every(part, epoch)
        assert batch["input_ids"].shape == (len(part), seq_len)
        assert Counter(tuple(p["input_ids"]) for p in pieces(batch)) == expected


def test_positions_restart_and_labels_stop_at_each_border(vocabulary: Vocabulary) -> None:
    given = corpus(short(211))
    part = examples.packed(seq_len=61)(given, vocabulary, 3, True)
    after = dict(zip(given.tokens[:-1].tolist(), given.tokens[1:].tolist(), strict=True))
    ends = goes_on = 0
    for piece in pieces(every(part, 2)):
        ids, labels = piece["input_ids"], piece["next_token_labels"]
        assert piece["position_ids"] == list(range(len(ids)))
        assert labels[:-1] == ids[1:]
        ends += labels[-1] == -100
        goes_on += labels[-1] != -100
        assert (ids[-1] == SEPARATOR) == (labels[-1] == -100)
        if labels[-1] != -100:  # cut in the middle: the text goes on in another row
            assert len(ids) == 61
            assert labels[-1] == after[ids[-1]]
    assert ends == 211
    assert goes_on > 50


def test_padding_is_no_token_and_no_document_of_its_own(vocabulary: Vocabulary) -> None:
    batch = every(examples.packed(seq_len=29)(corpus([7] * 5), vocabulary, 3, True))
    padding = ~batch["attention_mask"]
    assert padding.sum() == 2 * 29 - 5 * 8
    assert (batch["input_ids"][padding] == 0).all()
    assert (batch["next_token_labels"][padding] == -100).all()
    assert (batch["document_ids"].diff(dim=1) >= 0).all()
    assert batch["document_ids"].max(dim=1).values.tolist() == [2, 1]


@pytest.mark.parametrize("framed", [False, True])
def test_of_short_documents_nearly_nothing_is_padding(vocabulary: Vocabulary, framed: bool) -> None:
    made = examples.packed(seq_len=128, special_tokens=framed)
    part = made(corpus(short(high=121 - 2 * framed), None), vocabulary, 3, True)
    assert share(every(part)) > 0.97


def test_documents_above_half_a_row_stand_alone(vocabulary: Vocabulary) -> None:
    part = examples.packed(seq_len=128)(corpus([65] * 31, None), vocabulary, 3, True)
    assert len(part) == 31
    assert share(every(part)) == pytest.approx(65 / 128)


def share(batch: Batch) -> float:
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
    return float(mask.double().mean())


def best_fit(sizes: list[int], width: int) -> list[int]:
    """The room that is left in each row, filled one document at a time, the longest first."""
    free: list[int] = []
    for size in sorted(sizes, reverse=True):
        at = bisect_left(free, size)
        room = free.pop(at) if at < len(free) else width
        insort(free, room - size)
    return free


@pytest.mark.parametrize("seed", range(12))
def test_rows_are_those_of_the_longest_first_into_the_fullest(seed: int) -> None:
    draw = np.random.default_rng(seed)
    width = int(draw.integers(5, 90))
    sizes = draw.integers(1, width + 1, size=int(draw.integers(1, 700)))
    shapes = pack(np.bincount(sizes).tolist(), width)
    left = [width - sum(size * copies for size, copies in runs) for _, runs in shapes]
    found = np.repeat(left, [rows for rows, _ in shapes])
    assert sorted(found.tolist()) == best_fit(sizes.tolist(), width)
    counts: Counter[int] = Counter()
    for rows, runs in shapes:
        for size, copies in runs:
            counts[size] += rows * copies
    assert counts == Counter(sizes.tolist())
    assert len(shapes) < 3 * width


def together(batch: Batch) -> set[frozenset[int]]:
    """The first tokens of what shares a row."""
    firsts = batch["position_ids"].eq(0) & batch.get("attention_mask", torch.tensor(True))
    return {
        frozenset(row[own].tolist())
        for row, own in zip(batch["input_ids"], firsts, strict=True)
        if own.sum() > 1
    }


def sizes_in(batch: Batch) -> np.ndarray:
    """How many tokens each document of a row has, (batch, documents)."""
    numbers = batch["document_ids"].masked_fill(~batch["attention_mask"], -1)
    return np.stack([(numbers == n).sum(dim=1) for n in range(int(numbers.max()) + 1)], axis=1)


def test_neighbours_and_places_are_drawn_anew_in_each_epoch_of_training(
    vocabulary: Vocabulary,
) -> None:
    part = examples.packed(seq_len=128)(corpus(short(high=40)), vocabulary, 3, True)
    first, second = every(part, 0), every(part, 1)
    assert len(together(first) & together(second)) < 0.02 * len(together(first))
    falling = [(np.diff(row[row > 0]) <= 0).all() for row in sizes_in(first)]
    assert np.mean(falling) < 0.7  # as some rows hold one size alone
    sizes = [(b["document_ids"].max(dim=1).values + 1).tolist() for b in (first, second)]
    assert sizes[0] == sizes[1]  # the shapes of rows are settled
    calm = examples.packed(seq_len=128)(part.corpus, vocabulary, 3, False)
    assert torch.equal(every(calm, 0)["input_ids"], every(calm, 7)["input_ids"])


def test_documents_have_a_row_each_padded_to_the_longest(vocabulary: Vocabulary) -> None:
    part = examples.documents(seq_len=11)(corpus([3, 20, 5]), vocabulary, 3, True)
    batch = part.batch(np.array([2, 0]), 0)
    assert batch["input_ids"].tolist() == [[33, 34, 35, 36, 37, 3], [10, 11, 12, 3, 0, 0]]
    assert batch["next_token_labels"].tolist() == [
        [34, 35, 36, 37, 3, -100],
        [11, 12, 3, -100, -100, -100],
    ]
    assert batch["attention_mask"].sum(dim=1).tolist() == [6, 4]
    assert "document_ids" not in batch
    assert part.lengths(np.array([2, 0, 1]), 0).tolist() == [6, 4, 11]
    cut = part.batch(np.array([1]), 0)
    assert cut["input_ids"].tolist() == [list(range(13, 24))]
    assert cut["next_token_labels"].tolist() == [list(range(14, 25))]


def test_documents_are_framed_without_their_separator(vocabulary: Vocabulary) -> None:
    made = examples.documents(seq_len=11, special_tokens=True)
    batch = every(made(corpus([3, 20]), vocabulary, 3, True))
    assert batch["input_ids"].tolist() == [
        [CLS, 10, 11, 12, SEP, *[0] * 6],
        [CLS, *range(13, 22), SEP],
    ]
    assert batch["next_token_labels"][0].tolist() == [10, 11, 12, SEP, *[-100] * 7]
    assert batch["next_token_labels"][1].tolist() == [*range(13, 22), SEP, -100]


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_long_documents_are_split_into_rows(
    vocabulary: Vocabulary, framed: bool, training: bool
) -> None:
    given = corpus(short(101))
    made = examples.documents(seq_len=31, special_tokens=framed, long="split")
    part = made(given, vocabulary, 3, training)
    found = Counter(tuple(p["input_ids"]) for p in pieces(every(part)))
    assert found == texts(given, framed, 31 - 2 * framed)
    truncated = examples.documents(seq_len=31, special_tokens=framed)(given, vocabulary, 3, True)
    assert len(truncated) == 101


def test_empty_documents_make_no_row(vocabulary: Vocabulary) -> None:
    given = corpus([0, 4, 0, 0, 5, 0], None)
    for made in (examples.documents(seq_len=11), examples.packed(seq_len=11)):
        rows = pieces(every(made(given, vocabulary, 3, False)))
        assert sorted(p["input_ids"][0] for p in rows) == [10, 14]


@pytest.mark.parametrize("name", ["packed", "documents"])
def test_bad_options_are_refused(vocabulary: Vocabulary, name: str) -> None:
    made = getattr(examples, name)
    with pytest.raises(ConfigError) as raised:
        made(seq_len=2, special_tokens=True)(corpus([3]), vocabulary, 3, True)
    assert str(raised.value) == "seq_len must be at least 3, not 2."
    with pytest.raises(ConfigError) as raised:
        made(special_tokens=True)(corpus([3]), Vocabulary(size=99), 3, True)
    assert str(raised.value) == (
        "special_tokens needs a tokenizer with [CLS] and [SEP], but this one lacks them; "
        "set special_tokens: false."
    )
    if name == "documents":
        with pytest.raises(ConfigError) as raised:
            made(long="wrap")(corpus([3]), vocabulary, 3, True)
        assert str(raised.value) == "long must be truncate or split, not 'wrap'."
