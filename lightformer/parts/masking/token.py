"""Masking of single tokens."""

from __future__ import annotations

import numpy as np
import torch

from lightformer.draws import below, uniform
from lightformer.errors import ConfigError
from lightformer.examples import IGNORED, Batch, Indices
from lightformer.masking import Masking
from lightformer.registry import register
from lightformer.vocabulary import Vocabulary


@register("masking", "token")
class TokenMasking(Masking):
    """Hides single tokens, each on its own, and others at each visit.

    A hidden token becomes [MASK], or a random other one, or stays as it is, so that the model
    cannot rely on [MASK], which it never meets later. A row that would stay whole gets one.

    Paper: Devlin et al., 2018, arXiv:1810.04805
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
        """
        Args:
            probability: share of the tokens that are predicted
            mask_share: share of these that become [MASK]
            random_share: share of these that become a random token; the rest stays as it is
        """
        super().__init__(vocabulary, seed)
        if vocabulary.mask_id is None:
            raise ConfigError(
                "masking needs a tokenizer with a [MASK] token, but this one has none; "
                "add one to its file, or choose another tokenizer.kind."
            )
        if not 0 < probability <= 1:
            raise ConfigError(f"probability must be above 0 and at most 1, not {probability}.")
        if mask_share < 0 or random_share < 0 or mask_share + random_share > 1:
            raise ConfigError(
                "mask_share and random_share must not be negative, nor more than 1 together, "
                f"but they are {mask_share} and {random_share}."
            )
        self.mask_id = vocabulary.mask_id
        self.probability = probability
        self.mask_share = mask_share
        self.random_share = random_share
        self._special = np.array(vocabulary.special_ids)
        self._ordinary = np.setdiff1d(np.arange(vocabulary.size), self._special)

    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        ids = batch["input_ids"].numpy()  # (batch, seq)
        hideable = ~np.isin(ids, self._special)
        if "attention_mask" in batch:
            hideable &= batch["attention_mask"].numpy()
        draw = uniform(self.seed, "mask", epoch, indices[:, None], np.arange(ids.shape[1]))
        draw[~hideable] = 2.0
        chosen = draw < self.probability
        whole = np.flatnonzero(~chosen.any(axis=1) & hideable.any(axis=1))
        chosen[whole, draw[whole].argmin(axis=1)] = True

        rows, columns = np.nonzero(chosen)
        fate = uniform(self.seed, "mask or not", epoch, indices[rows], columns)
        number = below(
            self._ordinary.size, self.seed, "random token", epoch, indices[rows], columns
        )
        labels = np.full_like(ids, IGNORED)
        labels[rows, columns] = ids[rows, columns]
        hidden = np.where(
            fate < self.mask_share,
            self.mask_id,
            np.where(
                fate < self.mask_share + self.random_share,
                self._ordinary[number],
                ids[rows, columns],
            ),
        )
        ids = ids.copy()
        ids[rows, columns] = hidden
        kept = {k: v for k, v in batch.items() if k != "next_token_labels"}  # of unmasked text
        return kept | {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
