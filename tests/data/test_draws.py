from __future__ import annotations

import numpy as np
import pytest

from lightformer.draws import (
    LONGEST,
    Shuffled,
    below,
    bits,
    permutation,
    permuted,
    uniform,
)


def test_splitmix64_matches_a_reference_in_python_integers() -> None:
    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    import zlib

    state = 11
    for counter in (zlib.crc32(b"order"), 3, 7):
        state = mix((mix(state) + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64)
    assert int(bits(11, "order", 3, 7)) == state


def test_draws_are_uniform() -> None:
    draws = uniform(3, "mask", 0, np.arange(997)[:, None], np.arange(101))
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    expected = draws.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 45  # 19 degrees of freedom: p = 0.0007
    assert abs(draws.std() - 12**-0.5) < 0.003


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, "mask", 0), (4, "mask", 0)),
        ((3, "mask", 0), (3, "mask", 1)),
        ((3, "mask", 0), (3, "order", 0)),
        ((3, "mask", 0, 1), (3, "mask", 1, 0)),
        ((0, "mask", 1), (1, "mask", 0)),
    ],
)
def test_seed_purpose_and_each_counter_matter(first: tuple, second: tuple) -> None:  # type: ignore[type-arg]
    a, b = (uniform(*key, np.arange(5003)) for key in (first, second))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.06
    assert not set(a) & set(b)


def test_neighbours_are_independent() -> None:
    draws = uniform(3, "mask", 0, np.arange(503)[:, None], np.arange(97))
    assert abs(np.corrcoef(draws[1:].ravel(), draws[:-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]) < 0.02


def test_a_draw_does_not_depend_on_what_is_drawn_beside_it() -> None:
    whole = uniform(3, "mask", 2, np.arange(31)[:, None], np.arange(7))
    some = np.array([29, 2, 17])
    np.testing.assert_array_equal(uniform(3, "mask", 2, some[:, None], np.arange(7)), whole[some])


def test_below_reaches_every_number_and_no_other() -> None:
    assert set(below(7, 1, "x", np.arange(997)).tolist()) == set(range(7))


def test_a_permutation_holds_each_number_once_and_differs_by_epoch() -> None:
    orders = [permutation(101, 5, "order", epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(101))
    assert (orders[0] != orders[1]).mean() > 0.9
    np.testing.assert_array_equal(orders[1], permutation(101, 5, "order", 1))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 31, 101, 1009, 4099, 65537])
def test_an_order_that_is_never_made_holds_each_number_once(n: int) -> None:
    whole = permuted(np.arange(n), n, 5, "order", 3)
    assert sorted(whole) == list(range(n))
    some = np.arange(n)[:: max(1, n // 17)]
    np.testing.assert_array_equal(permuted(some, n, 5, "order", 3), whole[some])


def test_it_differs_by_seed_purpose_and_epoch() -> None:
    keys = [(5, "order", 3), (6, "order", 3), (5, "other", 3), (5, "order", 4)]
    orders = [permuted(np.arange(997), 997, *key) for key in keys]
    for number, order in enumerate(orders):
        for other in orders[:number]:
            assert (order == other).mean() < 0.02


def test_each_place_may_have_its_own_count_and_epoch() -> None:
    counts, epochs = np.array([7, 101, 31, 7]), np.array([0, 1, 0, 1])
    places = np.array([3, 100, 0, 3])
    found = permuted(places, counts, 5, "order", epochs)
    for place, count, epoch, number in zip(places, counts, epochs, found, strict=True):
        assert number == permuted(np.array([place]), int(count), 5, "order", int(epoch))[0]


def test_what_is_no_place_has_nothing() -> None:
    for place in (7, 8, -1):
        with pytest.raises(IndexError, match="Each place must be below n"):
            permuted(np.array([3, place]), 7, 5, "order")


def test_each_order_of_a_few_is_as_likely() -> None:
    tries = 72_000
    orders = np.stack([permuted(np.full(tries, i), 6, 1, "x", np.arange(tries)) for i in range(6)])
    counts = np.bincount(orders.T @ 6 ** np.arange(6), minlength=6**6)
    counts = counts[counts > 0]
    assert len(counts) == 720
    assert ((counts - 100) ** 2 / 100).sum() < 719 + 4 * (2 * 719) ** 0.5


@pytest.mark.parametrize("n", [13, 101])
def test_each_number_is_as_likely_at_each_place(n: int) -> None:
    tries, pairs = 2003, n * n
    seeds = np.arange(tries)
    found = np.concatenate(
        [i * n + permuted(np.full(tries, i), n, 1, "x", seeds) for i in range(n)]
    )
    counts = np.bincount(found, minlength=pairs)
    expected = tries / n
    freedom = (n - 1) ** 2
    assert ((counts - expected) ** 2 / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


def test_a_long_order_takes_no_memory_and_tells_any_part() -> None:
    order = Shuffled(10**15, 5, "order", 1)
    first, second = order[10**14 : 10**14 + 997], order[10**14 + 31 : 10**14 + 41]
    np.testing.assert_array_equal(first[31:41], second)
    assert len(set(first.tolist())) == 997
    assert first.min() >= 0
    assert first.max() < 10**15
    assert abs(first.mean() / 10**15 - 0.5) < 0.04


def test_a_short_order_is_the_permutation() -> None:
    order, whole = Shuffled(101, 5, "order", 1), permutation(101, 5, "order", 1)
    np.testing.assert_array_equal(order[7:31], whole[7:31])
    np.testing.assert_array_equal(order[95:300], whole[95:])


def test_the_two_ways_meet_at_the_longest_that_is_made() -> None:
    for n in (LONGEST - 1, LONGEST, LONGEST + 1):
        found = Shuffled(n, 5, "order")[:]
        assert np.bincount(found, minlength=n).max() == 1
