from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from corpora import make_corpus

from lightformer.data.baselines import _bigram, most_frequent, stream, text_baselines
from lightformer.examples import Corpus


def corpus(tokens: list[int]) -> Corpus:
    return Corpus(np.array(tokens, np.uint16), np.array([0, len(tokens)]), np.array([0, 1]))


@pytest.fixture
def chain() -> tuple[list[int], list[int]]:
    """A text in which a token mostly names the next one."""
    draw = random.Random(1)
    tokens = [3]
    for _ in range(4001):
        tokens.append((tokens[-1] * 7 + draw.choice([0, 0, 0, 1, 5])) % 29 + 3)
    return tokens[:3001], tokens[3001:]


def test_unigram_is_the_loss_of_smoothed_frequencies(chain: tuple[list[int], list[int]]) -> None:
    train, validation = chain
    counts = Counter(train)
    total = len(train) + 0.5 * 37
    expected = [-math.log((counts[token] + 0.5) / total) for token in validation[1:]]
    found = text_baselines([corpus(train)], [corpus(validation)], 37)
    assert found["unigram"] == pytest.approx(sum(expected) / len(expected), rel=1e-12)


def test_bigram_is_interpolated_kneser_ney(chain: tuple[list[int], list[int]]) -> None:
    train, validation = chain
    pairs = Counter(pairwise(train))
    before = Counter(a for a, _ in pairs.elements())
    follows = Counter(b for _, b in pairs)
    spread = Counter(a for a, _ in pairs)
    losses = []
    for a, b in pairwise(validation):
        lower = (follows[b] + 0.5) / (len(pairs) + 0.5 * 37)
        rest = 0.75 * spread[a] / before[a] if before[a] else 1.0
        first = max(pairs[a, b] - 0.75, 0) / before[a] if before[a] else 0.0
        losses.append(-math.log(first + rest * lower))
    found = text_baselines([corpus(train)], [corpus(validation)], 37)
    assert found["bigram"] == pytest.approx(sum(losses) / len(losses), rel=1e-12)
    assert found["bigram"] < found["unigram"] - 0.5


def test_bigram_is_a_distribution(chain: tuple[list[int], list[int]]) -> None:
    seen = np.array(chain[0])
    for previous in (3, 11, 36):  # 36 is never seen
        chances = _bigram(seen, 37, np.full(37, previous), np.arange(37))
        assert chances.sum() == pytest.approx(1.0, rel=1e-12)
        assert chances.min() > 0


def test_what_is_never_asked_is_left_out(chain: tuple[list[int], list[int]]) -> None:
    train, validation = chain
    asked = [token for token in validation[1:] if token not in (3, 4)]
    counts = Counter(train)
    losses = [-math.log((counts[t] + 0.5) / (len(train) + 0.5 * 37)) for t in asked]
    found = text_baselines([corpus(train)], [corpus(validation)], 37, (3, 4))
    assert found["unigram"] == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_the_most_frequent_class_is_that_of_training() -> None:
    assert most_frequent(np.array([0, 2, 2, 1]), np.array([2, 0, 0, 0])) == 0.25


def test_of_several_texts_all_are_counted(chain: tuple[list[int], list[int]]) -> None:
    train, validation = chain
    parts = [corpus(train[:997]), corpus(train[997:1009]), corpus(train[1009:])]
    asked = [corpus(validation[:211]), corpus(validation[211:])]
    whole = text_baselines([corpus(train)], [corpus(validation)], 37)
    assert text_baselines(parts, asked, 37) == pytest.approx(whole, rel=1e-12)


def test_of_more_than_is_counted_each_text_gives_its_share() -> None:
    texts = [make_corpus([[100]]), make_corpus([[7], [293]], separator=3, first=1000)]
    found = stream(texts, 40).tolist()
    assert found == [*range(10, 20), *range(1000, 1007), 3, *range(1007, 1030)]
    assert len(stream(texts, 1 << 20)) == 100 + 301
