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

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def bits(seed: int, purpose: str, *counters: Counter) -> npt.NDArray[np.uint64]:
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
