"""Samples of several texts, each as often as its weight says."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from corpora import make_corpus

from lightformer import examples
from lightformer.data.mixture import Mixture, joined
from lightformer.errors import DataError
from lightformer.examples import Examples
from lightformer.vocabulary import Vocabulary

SIZES = (31, 101, 7)


@pytest.fixture
def parts(vocabulary: Vocabulary) -> list[Examples]:
    """Documents of 3, 5 and 7 tokens; each part has ids of its own."""
    made = examples.documents(seq_len=11)
    return [
        made(make_corpus([[3 + 2 * n]] * size, first=10 + 1000 * n), vocabulary, n, True)
        for n, size in enumerate(SIZES)
    ]


def mixture(parts: list[Examples], *weights: float, training: bool = True) -> Mixture:
    return Mixture(parts, weights, 0, 5, training)


def firsts(mixed: Mixture, epoch: int) -> list[int]:
    """The first token of each sample of an epoch, which names its document."""
    return mixed.batch(np.arange(len(mixed)), epoch)["input_ids"][:, 0].tolist()


def document(n: int, number: int) -> int:
    """The first token of a document of part n."""
    return 10 + 1000 * n + (3 + 2 * n) * number


def test_an_epoch_sees_each_sample_as_often_as_the_weight_says(parts: list[Examples]) -> None:
    mixed = mixture(parts, 2.0, 1.0, 3.0)
    expected = Counter(
        {document(n, i): w for n, w in enumerate((2, 1, 3)) for i in range(SIZES[n])}
    )
    for epoch in (0, 1, 7):
        assert Counter(firsts(mixed, epoch)) == expected


def test_a_fraction_sees_all_before_it_sees_one_again(parts: list[Examples]) -> None:
    mixed = mixture(parts, 0.3, 0.5, 1.5)
    assert len(mixed) == 9 + 50 + 10  # to the nearest even of 9.3, 50.5 and 10.5
    seen = [[first for first in firsts(mixed, e) if first // 1000 == 1] for e in range(101)]
    assert {len(own) for own in seen} == {50}
    whole = list(chain(*seen))
    for start in range(0, len(whole), 101):
        assert len(set(whole[start : start + 101])) == 101
    assert whole[:101] != whole[101:202]
    third = Counter(f for e in range(7) for f in firsts(mixed, e) if f > 2000)
    assert set(third.values()) == {10}


def test_a_tiny_weight_sees_one_sample_at_least(parts: list[Examples]) -> None:
    assert len(mixture(parts, 1e-9, 1.0, 1.0)) == 1 + 101 + 7


def test_evaluation_heeds_no_weights_and_keeps_the_order(parts: list[Examples]) -> None:
    mixed = mixture(parts, 0.3, 2.0, 5.0, training=False)
    expected = [document(n, i) for n in range(3) for i in range(SIZES[n])]
    assert firsts(mixed, 0) == firsts(mixed, 4) == expected


def test_a_batch_is_what_its_samples_are_alone(parts: list[Examples]) -> None:
    mixed = mixture(parts, 2.5, 0.5, 1.0)
    indices = np.random.default_rng(1).permutation(len(mixed))[:53]
    batch, lengths = mixed.batch(indices, 3), mixed.lengths(indices, 3)
    for row, index in enumerate(indices.tolist()):
        alone = mixed.batch(np.array([index]), 3)
        own = batch["attention_mask"][row]
        assert int(own.sum()) == lengths[row] == alone["input_ids"].shape[1]
        for key in ("input_ids", "next_token_labels"):
            assert torch.equal(batch[key][row][own], alone[key][0])
        assert (batch["input_ids"][row][~own] == 0).all()
        assert (batch["next_token_labels"][row][~own] == -100).all()


def test_rows_of_all_keys_are_joined_alike() -> None:
    narrow = {"input_ids": torch.tensor([[1, 2]]), "labels": torch.tensor([4])}
    wide = {
        "input_ids": torch.tensor([[3, 4, 5], [6, 7, 9]]),
        "attention_mask": torch.tensor([[True] * 3, [True, True, False]]),
        "labels": torch.tensor([5, 6]),
    }
    found = joined([narrow, wide], torch.tensor([2, 0, 1]), pad_id=9)
    assert found["input_ids"].tolist() == [[6, 7, 9], [1, 2, 9], [3, 4, 5]]
    assert found["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    assert found["labels"].tolist() == [6, 4, 5]


def test_samples_of_one_shape_need_no_mask(vocabulary: Vocabulary) -> None:
    made = [
        examples.windows(seq_len=7)(make_corpus([[n]]), vocabulary, 3, True) for n in (100, 211)
    ]
    batch = mixture(made, 1.0, 1.0).batch(np.array([0, 20, 3]), 0)
    assert set(batch) == {"input_ids", "next_token_labels"}


def test_seeds_have_their_own_order(parts: list[Examples]) -> None:
    one, other = (firsts(Mixture(parts, [0.9] * 3, 0, seed, True), 0) for seed in (5, 6))
    assert one != other


def test_a_part_without_samples_is_refused(vocabulary: Vocabulary, parts: list[Examples]) -> None:
    empty = examples.windows(seq_len=7)(make_corpus([[1]]), vocabulary, 3, True)
    with pytest.raises(DataError) as raised:
        mixture([parts[0], empty], 1.0, 1.0)
    assert str(raised.value) == (
        "Each part of the training data must make a sample, but part 2 of 2 makes none; "
        "give it more text, or leave it out."
    )
    assert len(mixture([parts[0], empty], 1.0, 1.0, training=False)) == 31
