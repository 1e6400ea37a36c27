"""Random numbers that are a pure function of what they are for.

There is no generator and so no state: the number for (seed, purpose, epoch, sample, position) is a
hash of these. It does not depend on the batch that a sample is in, on workers, ranks or restarts.

    uniform(seed, "mask", epoch, samples[:, None], positions)    # (batch, seq), in [0, 1)

The hash chains splitmix64 (Steele et al., 2014), once for each counter.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Counter = int | npt.NDArray[np.integer[Any]]
Bits = npt.NDArray[np.uint64]

LONGEST = 1 << 20
"""How long an order may be to be made as a whole."""

_TURNS = 16
"""So many make each order of six numbers as likely as any other; fewer do for more numbers."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: Bits) -> Bits:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def bits(seed: int, purpose: str, *counters: Counter) -> Bits:
    """Returns 64 random bits for each element of the counters, broadcast against one another."""
    state = np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    for counter in (zlib.crc32(purpose.encode()), *counters):
        number = np.atleast_1d(counter).astype(np.uint64) + np.uint64(1)
        state = _mix(_mix(state) + number * _GOLDEN)
    shape = np.broadcast_shapes(*(np.shape(counter) for counter in counters))
    return state.reshape(shape)


def uniform(seed: int, purpose: str, *counters: Counter) -> npt.NDArray[np.float64]:
    """Returns numbers in [0, 1)."""
    return (bits(seed, purpose, *counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(
    limit: int | npt.NDArray[Any], seed: int, purpose: str, *counters: Counter
) -> npt.NDArray[np.int64]:
    """Returns whole numbers in [0, limit)."""
    return np.floor(uniform(seed, purpose, *counters) * limit).astype(np.int64)


def permutation(n: int, seed: int, purpose: str, *counters: int) -> npt.NDArray[np.int64]:
    """Returns 0 ... n - 1 in a random order."""
    return np.argsort(bits(seed, purpose, *counters, np.arange(n)), kind="stable")


def permuted(
    places: npt.NDArray[np.int64], n: Counter, seed: int, purpose: str, *counters: Counter
) -> npt.NDArray[np.int64]:
    """Returns what stands at some places of 0 ... n - 1 in a random order, which is never made as a whole.

    A Feistel network: the number is written with two digits, and each is turned by a hash of the other. What comes to
    lie outside is sent through again until it is inside (Black and Rogaway, 2002, Ciphers with Arbitrary Finite
    Domains).

    Args:
        places: numbers in [0, n)
        n: how many there are; one for all places, or one for each
        seed: the order depends on it, and on all that follow
        purpose: what is drawn
        counters: one for all places, or one for each

    Raises:
        IndexError: there is no such place.
    """
    keys = np.broadcast_to(bits(seed, purpose, *counters), places.shape)
    limit = np.broadcast_to(np.asarray(n, dtype=np.uint64), places.shape)
    found = places.astype(np.uint64)
    if (found >= limit).any():
        raise IndexError("Each place must be below n.")
    outside = np.arange(len(found))
    while len(outside):
        sent = _turned(found[outside], limit[outside], keys[outside])
        found[outside] = sent
        outside = outside[sent >= limit[outside]]
    return found.astype(np.int64)


def _turned(number: Bits, n: Bits, keys: Bits) -> Bits:
    """A bijection of [0, first base x second base), which holds [0, n) and little more."""
    bases = [np.sqrt(n).astype(np.uint64) + np.uint64(1)]
    bases.append((n + bases[0] - np.uint64(1)) // bases[0])
    digits = [number // bases[1], number % bases[1]]
    for turn in range(_TURNS):
        own, other = turn % 2, 1 - turn % 2
        counter = digits[other] * np.uint64(_TURNS) + np.uint64(turn + 1)
        digits[own] = (digits[own] + _mix(keys + counter * _GOLDEN) % bases[own]) % bases[own]
    return digits[0] * bases[1] + digits[1]


class Shuffled:
    """0 ... n - 1 in a random order: `order[a:b]` is what stands at the places from a to b.

    A short order is made at once. A long one is found place by place, and takes no memory.

    Args:
        n: how many there are
        seed: the order depends on it, and on all that follow
        purpose: what is drawn
        counters: such as the epoch
    """

    def __init__(self, n: int, seed: int, purpose: str, *counters: int) -> None:
        self.n, self.seed, self.purpose, self.counters = n, seed, purpose, counters
        self._made = permutation(n, seed, purpose, *counters) if n <= LONGEST else None

    def __getitem__(self, places: slice) -> npt.NDArray[np.int64]:
        if self._made is not None:
            return self._made[places]
        asked = np.arange(*places.indices(self.n))
        return permuted(asked, self.n, self.seed, self.purpose, *self.counters)
