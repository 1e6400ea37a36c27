"""Masking of whole words."""

from __future__ import annotations

import numpy as np

from lightformer.draws import uniform
from lightformer.examples import Batch, Indices
from lightformer.hiding import NOT_CHOSEN, Array, HidingMasking
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary
from lightformer.words import beginnings, heads, word_starts


@register("masking", "whole_word", forms=[{}, {"probability": 0.31, "mask_share": 0.5}])
class WholeWordMasking(HidingMasking):
    """Hides all tokens of a word or none, so that no word is guessed from its own pieces.

    Words are chosen, and what a token becomes is drawn for each token. `probability` of the words of a row are chosen,
    rounded up or down by chance, and one at least.

    Paper: Cui et al., 2019, arXiv:1906.08101
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
    ) -> None:
        super().__init__(
            vocabulary,
            seed,
            probability=probability,
            mask_share=mask_share,
            random_share=random_share,
        )
        self._begins = beginnings(vocabulary, "whole_word")

    def choose(self, batch: Batch, is_text: Array, indices: Indices, epoch: int) -> Array:
        columns = np.arange(is_text.shape[1])
        starts = word_starts(batch, is_text, self._begins)
        wanted = self.probability * starts.sum(axis=1) + uniform(
            self.seed, "number of words", epoch, indices
        )
        number = np.maximum(wanted.astype(np.int64), 1)
        draw = uniform(self.seed, "word", epoch, indices[:, None], columns)
        draw[~starts] = 2.0
        last = np.take_along_axis(np.sort(draw, axis=1), number[:, None] - 1, axis=1)
        chosen = starts & (draw <= last)
        chosen = is_text & np.take_along_axis(chosen, heads(starts), axis=1)
        return np.where(chosen, columns, NOT_CHOSEN)
