"""Masking of single tokens."""

from __future__ import annotations

import numpy as np

from lightformer.draws import uniform
from lightformer.examples import Batch, Indices
from lightformer.hiding import NOT_CHOSEN, Array, HidingMasking
from lightformer.registry import register


@register("masking", "token")
class TokenMasking(HidingMasking):
    """Hides single tokens, each on its own, and others at each visit.

    A hidden token becomes [MASK], or a random other one, or stays as it is, so that the model
    cannot rely on [MASK], which it never meets later. A row that would stay whole gets one.

    Paper: Devlin et al., 2018, arXiv:1810.04805
    """

    def choose(self, batch: Batch, is_text: Array, indices: Indices, epoch: int) -> Array:
        columns = np.arange(is_text.shape[1])
        draw = uniform(self.seed, "mask", epoch, indices[:, None], columns)
        draw[~is_text] = 2.0
        chosen = draw < self.probability
        whole = np.flatnonzero(~chosen.any(axis=1) & is_text.any(axis=1))
        chosen[whole, draw[whole].argmin(axis=1)] = True
        return np.where(chosen, columns, NOT_CHOSEN)
