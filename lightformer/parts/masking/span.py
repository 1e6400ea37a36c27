"""Masking of spans."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightformer.draws import uniform
from lightformer.errors import ConfigError
from lightformer.examples import Batch, Indices
from lightformer.hiding import NOT_CHOSEN, Array, HidingMasking
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary
from lightformer.words import beginnings, stretch_starts, word_starts

_TINY = 1e-12


@register("masking", "span", forms=[{}, {"whole_words": False}, {"max_length": 3, "stop": 0.5}])
class SpanMasking(HidingMasking):
    """Hides spans of words that follow one another, so that more than a neighbour is needed to guess one.

    The words of a span become [MASK] together, or random ones, or stay. Spans of random length alternate with gaps of
    random length, from the first word of a document or segment to its last; none leaves it, but it may be cut there.
    A row that would stay whole gets one span, and rows of its length are given fewer for it, so that the share is kept.

    Paper: Joshi et al., 2020, arXiv:1907.10529

    Args:
        stop: chance that a span stops after each of its words; the lower, the longer the spans
        max_length: words of a span, at most
        whole_words: whether spans are made of whole words; else of tokens, which any tokenizer allows
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        seed: int,
        /,
        *,
        probability: float = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        stop: float = 0.2,
        max_length: int = 10,
        whole_words: bool = True,
    ) -> None:
        super().__init__(
            vocabulary,
            seed,
            probability=probability,
            mask_share=mask_share,
            random_share=random_share,
        )
        if not 0 < stop <= 1:
            raise ConfigError(f"stop must be above 0 and at most 1, not {stop}.")
        if max_length < 1:
            raise ConfigError(f"max_length must be at least 1 word, but is {max_length}.")
        self._begins = beginnings(vocabulary, "span") if whole_words else None
        chances = (1 - stop) ** np.arange(max_length)
        chances /= chances.sum()
        self._up_to = np.cumsum(chances)  # chance of a span of 1, 2, ... words or fewer
        self._reach = np.cumsum(chances[::-1])[::-1].cumsum()  # mean length with room for 1, 2, ...
        self._up_to[-1] = 1.0

    def choose(self, batch: Batch, is_text: Array, indices: Indices, epoch: int) -> Array:
        starts = is_text if self._begins is None else word_starts(batch, is_text, self._begins)
        rows, columns = np.nonzero(starts)  # of each word
        opening = np.flatnonzero(stretch_starts(batch, is_text)[rows, columns])
        begin, end = self._spans(rows, columns, opening, indices, epoch)

        count = len(rows)
        opened = np.bincount(begin, minlength=count + 1)
        hidden = np.cumsum(opened - np.bincount(end, minlength=count + 1)) > 0
        first = np.maximum.accumulate(np.where(opened > 0, np.arange(count + 1), 0))
        fate = np.where(hidden, np.append(columns, 0)[first], NOT_CHOSEN)
        word = np.cumsum(starts).reshape(starts.shape) - 1
        return np.where(is_text, fate[word], NOT_CHOSEN)

    def _spans(
        self, rows: Indices, columns: Indices, opening: Indices, indices: Indices, epoch: int
    ) -> tuple[Indices, Indices]:
        """First words of the spans, and the words after their last ones.

        Args:
            rows: the row of each word
            columns: where each word starts
            opening: the words that open a stretch, which no span leaves
            indices: number of the sample in each row
            epoch: which visit it is
        """

        def draw(purpose: str, words: Any = slice(None)) -> Array:
            return uniform(self.seed, purpose, epoch, indices[rows[words]], columns[words])

        size = np.diff(opening, append=len(rows))
        room = np.repeat(opening + size, size) - np.arange(len(rows))  # words left in the stretch
        share, long = self._shares(rows, opening, room, len(indices))

        # As many gaps and spans for each stretch as it has words: enough for any lengths.
        stops = share / (share + self._reach[-1] * (1 - share))  # chance that a gap stops
        stops = np.clip(stops, _TINY, 1 - _TINY)
        gap = np.minimum(np.log1p(-draw("gap")) / np.log1p(-stops[rows]), len(rows))
        gap = gap.astype(np.int64)
        drawn = draw("length")
        length = 1 + np.searchsorted(self._up_to, drawn, side="right")
        rest = length.copy()
        # A stretch opens in the middle of a gap, or of a span, as if the text had begun before it.
        inside = draw("inside", opening) < share[rows[opening]]
        gap[opening] = np.where(inside, 0, gap[opening] + 1)
        cut = opening[inside]
        rest[cut] = 1 + np.searchsorted(self._reach / self._reach[-1], drawn[cut], side="right")
        end = np.cumsum(gap + rest)
        end += np.repeat(opening - (end - gap - rest)[opening], size)
        begin, limit = end - rest, np.repeat(opening + size, size)
        end = np.minimum(end, limit)[begin < limit]
        begin = begin[begin < limit]

        words = np.bincount(rows, minlength=len(indices))
        words[rows[begin]] = 0
        whole = np.flatnonzero(words)  # rows in which nothing is hidden yet
        place = uniform(self.seed, "only span", epoch, indices[whole]) * words[whole]
        only = np.searchsorted(rows, whole) + place.astype(np.int64)
        is_long = uniform(self.seed, "long", epoch, indices[whole]) < long[whole]
        last = only + np.where(is_long, np.minimum(length, room)[only], 1)
        return np.concatenate([begin, only]), np.concatenate([end, last])

    def _shares(
        self, rows: Indices, opening: Indices, room: Indices, height: int
    ) -> tuple[Array, Array]:
        """For each row, the share that is hidden by spans that come and go, and how likely the only span of a row that
        would stay whole is longer than a word; so that both together hide `probability`, if a word is not too much.
        """
        words = np.maximum(np.bincount(rows, minlength=height), 1)
        stretches = np.bincount(rows[opening], minlength=height)
        reach = self._reach[np.minimum(room, len(self._reach)) - 1]
        only = np.bincount(rows, reach, minlength=height) / words  # mean length of an only span
        wanted = self.probability * words
        long = np.clip((wanted - 1) / np.maximum(only - 1, _TINY), 0, 1)
        only = 1 + long * (only - 1)
        low, high = np.zeros(height), np.full(height, self.probability)
        for _ in range(30):
            share = (low + high) / 2
            stops = share / (share + self._reach[-1] * (1 - share))
            stays_whole = (1 - share) ** stretches * (1 - stops) ** (words - stretches)
            much = share * words + stays_whole * only > wanted
            low, high = np.where(much, low, share), np.where(much, share, high)
        return low, long
