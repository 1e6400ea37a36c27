"""The text that a tokenizer is trained on."""

from __future__ import annotations

import numpy as np
import pytest
from corpora import sentences

from lightformer.data import tokenizer_text
from lightformer.data.sentences import Document, split_sentences
from lightformer.data.tokenizer_text import training_texts
from lightformer.data.tokenizer_training import train_tokenizer
from lightformer.draws import uniform
from lightformer.errors import ConfigError
from lightformer.tokenizer import TokenizerConfig

TEXTS = [sentences(2 + i % 13, i) for i in range(503)]
DOCUMENTS = [Document(split_sentences(text)) for text in TEXTS]


def drawn(most: int, documents: list[Document] = DOCUMENTS) -> list[str]:
    return list(training_texts(documents, TokenizerConfig(train_characters=most)))


def test_a_small_text_is_taken_whole() -> None:
    assert drawn(10**8) == TEXTS
    rows = [Document(["a", "b c"], 0), Document(["d"], 1)]
    assert drawn(10**8, rows) == ["a", "b c", "d"]


def test_of_a_large_one_a_part_is_drawn_from_all_over_it() -> None:
    whole = sum(map(len, TEXTS))
    found = drawn(whole // 4)
    assert 0.2 * whole < sum(map(len, found)) <= whole // 4
    places = [TEXTS.index(text) for text in found]
    assert places == sorted(places)
    assert np.histogram(places, 5, (0, 503))[0].min() > 10
    assert drawn(whole // 4, DOCUMENTS) == found


def test_what_is_drawn_depends_on_the_number_of_a_document_alone() -> None:
    short, long = [Document(["a" * 10])] * 300, [Document(["b" * 20])] * 300
    found = [drawn(1500, documents) for documents in (short, long)]
    assert (len(found[0]), len(found[1])) == (150, 75)


def test_the_least_draws_are_taken_and_no_other() -> None:
    rows = [Document([text], 0) for text in TEXTS]
    for share in range(2, 31):
        found = set(drawn(sum(map(len, TEXTS)) // share, rows))
        draws = uniform(0, "tokenizer", np.arange(len(TEXTS)))
        taken = np.array([text in found for text in TEXTS])
        assert draws[taken].max() < draws[~taken].min()


def test_a_document_of_any_size_is_many_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_text, "_BLOCK", 1009)
    text = " ".join(TEXTS)
    blocks = drawn(10**8, [Document(iter(split_sentences(text)))])
    assert "".join(blocks) == text
    assert max(map(len, blocks)) < 2000
    part = drawn(len(text) // 3, [Document(iter(split_sentences(text)))])
    assert 0.25 < sum(map(len, part)) / len(text) <= 1 / 3
    config = TokenizerConfig(vocab_size=97)
    whole = train_tokenizer(iter([text]), config).fingerprint
    assert train_tokenizer(iter(blocks), config).fingerprint == whole


def test_one_text_is_always_left() -> None:
    assert drawn(3, [Document([text]) for text in TEXTS[:7]]) != []


def test_characters_are_those_of_the_whole_text() -> None:
    config = TokenizerConfig("characters", train_characters=1)
    assert list(training_texts(DOCUMENTS, config)) == TEXTS


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        TokenizerConfig(train_characters=0)
    assert str(raised.value) == "tokenizer.train_characters must be at least 1, not 0."
