"""What is reached without learning: the figures that a model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.examples import Corpus

Tokens = npt.NDArray[Any]

_MOST = 8_000_000  # tokens of training text that are counted
_DISCOUNT = 0.75


def stream(corpora: Sequence[Corpus], most: int) -> Tokens:
    """Returns the tokens of all documents, in order; of each corpus its first ones, if there are more than `most`."""
    sizes = np.array([corpus.stop - corpus.start for corpus in corpora], dtype=np.float64)
    kept = np.ceil(sizes * min(1.0, most / max(sizes.sum(), 1.0))).astype(np.int64)
    texts = [c.tokens[c.start : c.start + n] for c, n in zip(corpora, kept.tolist(), strict=True)]
    return np.concatenate(texts).astype(np.int64)


def text_baselines(
    train: Sequence[Corpus],
    validation: Sequence[Corpus],
    size: int,
    unasked: tuple[int, ...] = (),
) -> dict[str, float]:
    """Returns the loss, in nats per predicted token of the validation text, of two counting models.

    Args:
        train: what is counted, each text once, up to 8 million tokens
        validation: what is predicted
        size: number of token ids
        unasked: ids that are never predicted, as in masked language modelling
    """
    seen = stream(train, _MOST)
    asked = stream(validation, _MOST + 1)
    previous, target = asked[:-1], asked[1:]
    keep = ~np.isin(target, unasked)
    previous, target = previous[keep], target[keep]
    if not len(target) or len(seen) < 2:
        return {}
    return {
        "unigram": float(-np.log(_unigram(seen, size)[target]).mean()),
        "bigram": float(-np.log(_bigram(seen, size, previous, target)).mean()),
    }


def _unigram(seen: Tokens, size: int) -> npt.NDArray[np.float64]:
    """Relative frequencies; half a count for each token, so that none is impossible."""
    counts = np.bincount(seen, minlength=size) + 0.5
    return np.asarray(counts / counts.sum())


def _bigram(seen: Tokens, size: int, previous: Tokens, target: Tokens) -> npt.NDArray[np.float64]:
    """Interpolated Kneser-Ney (1995): what is taken from the pairs goes to the tokens that follow
    many others."""
    pairs, counts = np.unique(seen[:-1] * size + seen[1:], return_counts=True)
    total = np.bincount(seen[:-1], minlength=size)
    followers = np.bincount(pairs // size, minlength=size)
    preceded = np.bincount(pairs % size, minlength=size) + 0.5
    lower = (preceded / preceded.sum())[target]
    key = previous * size + target
    place = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
    count = np.where(pairs[place] == key, counts[place], 0)
    known = total[previous] > 0
    whole = np.maximum(total[previous], 1)
    rest = np.where(known, _DISCOUNT * followers[previous] / whole, 1.0)
    return np.asarray(np.maximum(count - _DISCOUNT, 0) / whole + rest * lower)


def most_frequent(train: npt.NDArray[np.int64], validation: npt.NDArray[np.int64]) -> float:
    """Returns the accuracy of always saying the most frequent class of the training data."""
    return float((validation == np.bincount(train).argmax()).mean())
