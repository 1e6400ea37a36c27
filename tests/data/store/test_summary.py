"""The figures of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lightformer.data.store import summary
from lightformer.data.store.summary import summarize
from lightformer.examples import Corpus


def corpus_of(documents: list[list[int]], separator: int | None) -> Corpus:
    ended = [d if separator is None else [*d, separator] for d in documents]
    ends = np.cumsum([0, *map(len, ended)])
    tokens = np.array([t for d in ended for t in d], dtype=np.uint16)
    return Corpus(tokens, ends, np.arange(len(ends)), separator)


def drawn(count: int) -> list[list[int]]:
    draw = np.random.default_rng(5)
    return [draw.integers(0, 3, draw.integers(1, 6)).tolist() for _ in range(count)]


@pytest.mark.parametrize("separator", [None, 7])
@pytest.mark.parametrize("block", [1, 13, 1 << 16])
def test_the_figures_are_those_of_plain_counting(
    monkeypatch: pytest.MonkeyPatch, separator: int | None, block: int
) -> None:
    monkeypatch.setattr(summary, "_DOCUMENTS", block)
    monkeypatch.setattr(summary, "_TOKENS", block)
    documents = [*drawn(211), [1] * 67, [2] * 64, [0] * 65]
    found = summarize(corpus_of(documents, separator), unk_id=2)
    assert found.documents == found.sentences == 214
    assert found.tokens == sum(map(len, documents)) + 214 * (separator is not None)
    assert found.unknown == sum(d.count(2) for d in documents)
    assert found.duplicates == sum(n - 1 for n in Counter(map(tuple, documents)).values()) > 50
    assert found.longest == 67
    lengths = Counter(map(len, documents))
    assert found.lengths == (
        lengths[1],
        lengths[2],
        lengths[3] + lengths[4],
        lengths[5],
        0,
        0,
        1,
        2,
    )


def test_the_same_tokens_in_another_order_are_no_duplicates() -> None:
    assert (
        summarize(corpus_of([[1, 2, 3], [3, 2, 1], [1, 2], [1, 2, 3, 0]], 7), None).duplicates == 0
    )


def test_a_tokenizer_that_knows_every_text_has_no_unknown_token() -> None:
    assert summarize(corpus_of([[1, 2], [0]], None), None).unknown == 0


def test_a_document_without_tokens_is_counted() -> None:
    corpus = replace(corpus_of([[1], []], None), labels=np.array([1, 0]))
    assert summarize(corpus, 5).lengths == (2,)
