"""Which samples make a global batch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest

from lightformer.data.order import Budget, Fixed, Grouped, Order, cut, in_parts
from lightformer.draws import permutation
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Indices

SAMPLES = 1013
LENGTHS = np.random.default_rng(3).integers(1, 91, size=SAMPLES)


def lengths(indices: Indices, epoch: int) -> Indices:
    return LENGTHS[indices]


MAKE: dict[str, Callable[[], Order]] = {
    "fixed": lambda: Fixed(SAMPLES, 7, 5),
    "grouped": lambda: Grouped(lengths, SAMPLES, 7, 5),
    "budget": lambda: Budget(lengths, SAMPLES, 601, 5),
}
ways = pytest.mark.parametrize("way", MAKE)


def epoch_of(order: Order, epoch: int) -> list[list[int]]:
    return [batch.tolist() for batch in order.batches(epoch, 0, len(order))]


@ways
def test_an_epoch_holds_each_sample_once_but_for_what_fills_no_batch(way: str) -> None:
    order = MAKE[way]()
    for epoch in (0, 1, 5):
        batches = epoch_of(order, epoch)
        seen = [sample for batch in batches for sample in batch]
        assert len(batches) == len(order)
        assert len(seen) == len(set(seen)) == (SAMPLES if way == "budget" else SAMPLES // 7 * 7)
        assert min(map(len, batches)) == order.smallest


@ways
def test_a_batch_is_a_pure_function_of_its_number(way: str) -> None:
    whole = epoch_of(MAKE[way](), 3)
    order = MAKE[way]()
    for number in (len(order) - 1, 0, 63, 64, 65):
        if number < len(order):
            (batch,) = order.batches(3, number, number + 1)
            assert batch.tolist() == whole[number]
    assert [b.tolist() for b in order.batches(3, 5, len(order))] == whole[5:]
    assert not list(order.batches(3, len(order), len(order)))


@ways
def test_epochs_have_other_batches_in_another_order(way: str) -> None:
    order = MAKE[way]()
    first, second = ({frozenset(b) for b in epoch_of(order, e)} for e in (0, 1))
    assert len(first & second) < 0.05 * len(first)
    means = [[LENGTHS[batch].mean() for batch in epoch_of(order, e)] for e in (0, 1)]
    assert abs(np.corrcoef(means)[0, 1]) < 0.4  # what is long is now early, now late


def test_fixed_batches_are_the_permutation_cut_in_order() -> None:
    order = permutation(SAMPLES, 5, "order", 2)
    assert epoch_of(Fixed(SAMPLES, 7, 5), 2) == order[: SAMPLES // 7 * 7].reshape(-1, 7).tolist()


def padding(batches: list[list[int]]) -> float:
    """The share of the positions that are padding."""
    padded = sum(len(batch) * int(LENGTHS[batch].max()) for batch in batches)
    return 1 - sum(int(LENGTHS[batch].sum()) for batch in batches) / padded


def test_grouped_batches_are_alike_in_length_within_their_pool() -> None:
    fixed, grouped = epoch_of(MAKE["fixed"](), 0), epoch_of(MAKE["grouped"](), 0)
    assert padding(fixed) > 0.35
    assert padding(grouped) < 0.08
    for pool in (slice(0, 64), slice(64, 128), slice(128, None)):
        assert sorted(chain(*grouped[pool])) == sorted(chain(*fixed[pool]))


def test_a_budget_is_kept_and_used() -> None:
    order = MAKE["budget"]()
    for epoch in (0, 1):
        batches = epoch_of(order, epoch)
        full = [len(batch) * int(LENGTHS[batch].max()) for batch in batches]
        assert max(full) <= 601
        assert np.mean(full) > 0.9 * 601
        assert padding(batches) < 0.04


def greedy(sizes: list[int], budget: int) -> list[int]:
    """Where batches begin, cut one sample at a time."""
    borders = [0]
    for at in range(len(sizes)):
        if sizes[borders[-1]] * (at - borders[-1] + 1) > budget:
            borders.append(at)
    borders.append(len(sizes))
    if len(borders) > 2:
        borders[-2] = min(borders[-2], (borders[-3] + borders[-1] + 1) // 2)
    return borders


@pytest.mark.parametrize("budget", [91, 92, 179, 601, 1 << 20])
def test_cuts_are_those_that_one_sample_after_another_gives(budget: int) -> None:
    for seed in range(20):
        sizes = -np.sort(-np.random.default_rng(seed).integers(1, 92, size=1 + 11 * seed))
        borders = cut(sizes, budget)
        assert borders.tolist() == greedy(sizes.tolist(), budget)
        rows = np.diff(borders)
        assert (rows * sizes[borders[:-1]] <= budget).all()
        assert len(rows) == 1 or rows.min() >= (budget // sizes[0]) // 2


def test_what_fits_no_batch_is_refused() -> None:
    with pytest.raises(DataError) as raised:
        Budget(lengths, SAMPLES, 67, 5)
    assert str(raised.value) == (
        "A batch must hold the longest sample, but that has 90 tokens and batch_tokens is 67; "
        "raise batch_tokens, or lower examples.seq_len."
    )
    with pytest.raises(DataError) as raised:
        Budget(lengths, 0, 67, 5)
    assert str(raised.value) == "The training data makes no samples; give more text."


def test_lengths_that_change_cannot_be_budgeted() -> None:
    with pytest.raises(ConfigError) as raised:
        Budget(lambda indices, epoch: LENGTHS[indices - epoch], SAMPLES, 601, 5)
    assert str(raised.value) == (
        "batch_tokens needs samples that have the same lengths in each epoch, but these have others; give whole "
        "numbers as weights of the training data, or set batch_size and leave batch_tokens out."
    )


@pytest.mark.parametrize(("count", "parts"), [(12, 3), (13, 3), (3, 3), (997, 8), (8, 1)])
def test_parts_differ_by_one_at_most(count: int, parts: int) -> None:
    found = in_parts(np.arange(count), parts)
    sizes = [len(part) for part in found]
    assert len(found) == parts
    assert np.concatenate(found).tolist() == list(range(count))
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 1
