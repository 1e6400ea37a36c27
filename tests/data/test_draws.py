from __future__ import annotations

import numpy as np
import pytest

from lightformer.draws import below, bits, permutation, uniform


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
