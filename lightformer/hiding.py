"""What maskings share that choose some tokens, and hide them as BERT does."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lightformer.draws import below, uniform
from lightformer.errors import ConfigError
from lightformer.examples import IGNORED, Batch, Indices
from lightformer.masking import Masking
from lightformer.vocabulary import Vocabulary

Array = npt.NDArray[Any]

NOT_CHOSEN = -1


class HidingMasking(Masking):
    """Base of the maskings that choose a share of the text, of which each token becomes [MASK], or a random other
    one, or stays as it is, so that the model cannot rely on [MASK], which it never meets later."""

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

    @abc.abstractmethod
    def choose(self, batch: Batch, is_text: Array, indices: Indices, epoch: int) -> Array:
        """Returns for each token the column by which its fate is drawn, or NOT_CHOSEN.

        Tokens of one column share their fate: all become [MASK], or all a random token, or all stay.

        Args:
            batch: the rows
            is_text: which tokens may be chosen, (batch, seq)
            indices: number of the sample in each row
            epoch: which visit it is
        """

    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        ids = batch["input_ids"].numpy()  # (batch, seq)
        is_text = ~np.isin(ids, self._special)
        if "attention_mask" in batch:
            is_text &= batch["attention_mask"].numpy()
        drawn_by = self.choose(batch, is_text, indices, epoch)

        rows, columns = np.nonzero(drawn_by != NOT_CHOSEN)
        fate = uniform(self.seed, "mask or not", epoch, indices[rows], drawn_by[rows, columns])
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
