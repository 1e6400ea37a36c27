"""A masking, and the batches that it is tried on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lightformer.errors import ConfigError
from lightformer.examples import Batch, Indices
from lightformer.masking import Masking, MaskingSpec
from lightformer.testing.counting import none
from lightformer.testing.promise import Figure, trial
from lightformer.testing.sizes import Sizes
from lightformer.vocabulary import Vocabulary

SEED, EPOCH = 3, 2
ROWS, WIDTH = 53, 41
VOCABULARY = Vocabulary(
    size=211,
    pad_id=7,
    unk_id=0,
    cls_id=30,
    sep_id=101,
    mask_id=210,
    eos_id=101,
    word_starts=tuple(number % 5 < 3 for number in range(211)),
)
"""Special tokens lie anywhere, and padding is not 0. Of five ids, three begin a word."""


@trial("masking")
@dataclass(frozen=True)
class MaskingTrial:
    """A masking, and the batches that it is tried on."""

    spec: MaskingSpec
    sizes: Sizes = field(default_factory=Sizes)

    def part(self, seed: int = SEED) -> Masking:
        return self.spec(VOCABULARY, seed)

    @property
    def needs_words(self) -> bool:
        """Whether it refuses a vocabulary that does not tell where words begin."""
        try:
            self.spec(replace(VOCABULARY, word_starts=()), SEED)
        except ConfigError:
            return True
        return False

    def masked(
        self, batch: Batch, indices: Indices, epoch: int = EPOCH, seed: int = SEED
    ) -> tuple[Tensor, Tensor]:
        """Returns `input_ids` and `labels` of a copy of the batch."""
        found = self.part(seed)(rows_like(batch), indices, epoch)
        return found["input_ids"], found["labels"]


def rows(count: int = ROWS, width: int = WIDTH) -> Batch:
    """Rows of `[CLS] text [SEP] text [SEP] padding`, of several lengths."""
    ids = torch.randint(0, VOCABULARY.size, (count, width))
    special = torch.isin(ids, torch.tensor(VOCABULARY.special_ids))
    ids[special] = 55
    lengths = torch.arange(count) * 7 % (width - 9) + 10
    columns = torch.arange(width)[None]
    is_token = columns < lengths[:, None]
    ids[:, 0] = VOCABULARY.cls_id or 0
    ids[columns == (lengths // 2)[:, None]] = VOCABULARY.sep_id or 0
    ids[columns == (lengths - 1)[:, None]] = VOCABULARY.sep_id or 0
    ids[~is_token] = VOCABULARY.pad_id
    return {
        "input_ids": ids,
        "attention_mask": is_token,
        "token_type_ids": (columns > (lengths // 2)[:, None]) * is_token.long(),
        "next_sentence_labels": torch.arange(count) % 2,
    }


def rows_like(batch: Batch) -> Batch:
    """Returns a copy, of which a part may do what it likes."""
    return {key: value.clone() for key, value in batch.items()}


def visited(count: int = ROWS) -> Indices:
    """Numbers of samples, in no order."""
    return np.arange(count) * 17 % 59 + 1000


def equal(found: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Figure:
    """How many tokens differ, in ids or labels; none is good."""
    return none((found[0] != other[0]) | (found[1] != other[1]), "differ")
