from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lightformer import masking
from lightformer.errors import ConfigError
from lightformer.vocabulary import Vocabulary


def batch(rows: int = 211, width: int = 97, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 5003, (rows, width), generator=generator)
    ids[:, 0], ids[:, 40] = 2, 3
    ids[3:9, 60:] = 0
    present = torch.ones_like(ids, dtype=torch.bool)
    present[3:9, 60:] = False
    present[11:13, 90:] = False  # hidden by the mask alone
    return {"input_ids": ids, "attention_mask": present}


def test_shares_are_as_in_the_paper(vocabulary: Vocabulary) -> None:
    before = batch(1009)
    after = masking.token()(vocabulary, 3)(before, np.arange(1009), 0)
    asked = after["labels"] != -100
    ids, old = after["input_ids"][asked], before["input_ids"][asked]
    real = ~torch.isin(before["input_ids"], torch.tensor([0, 2, 3])) & before["attention_mask"]
    assert abs(asked.sum() / real.sum() - 0.15) < 0.004
    assert abs((ids == 4).float().mean() - 0.8) < 0.012
    assert abs((ids == old).float().mean() - 0.1) < 0.012
    assert torch.equal(after["labels"][asked], old)
    assert torch.equal(after["input_ids"][~asked], before["input_ids"][~asked])


def test_special_tokens_and_padding_are_never_hidden_nor_drawn(vocabulary: Vocabulary) -> None:
    before = batch()
    part = masking.token(probability=0.9, mask_share=0.0, random_share=1.0)(vocabulary, 3)
    after = part(before, np.arange(211), 0)
    asked = after["labels"] != -100
    assert not asked[torch.isin(before["input_ids"], torch.tensor(vocabulary.special_ids))].any()
    assert not asked[~before["attention_mask"]].any()
    assert not torch.isin(after["input_ids"][asked], torch.tensor(vocabulary.special_ids)).any()
    assert after["input_ids"][asked].unique().numel() > 2000


def test_what_is_hidden_depends_on_seed_epoch_and_sample_alone(vocabulary: Vocabulary) -> None:
    before, part = batch(), masking.token()(vocabulary, 3)
    indices = np.arange(1000, 1211)
    whole = part(before, indices, 2)
    some = np.array([200, 5, 11])
    rows = {key: value[torch.from_numpy(some)] for key, value in before.items()}
    for key, value in part(rows, indices[some], 2).items():
        assert torch.equal(value, whole[key][torch.from_numpy(some)])
    for other in (
        part(before, indices, 3),
        part(before, indices + 1, 2),
        masking.token()(vocabulary, 4)(before, indices, 2),
    ):
        both = (other["labels"] != -100) & (whole["labels"] != -100)
        assert both.float().mean() < 0.04  # 0.15 squared


def test_the_bits_of_a_seed_stay(vocabulary: Vocabulary) -> None:
    after = masking.token(probability=0.3)(vocabulary, 3)(batch(31, 53), np.arange(31) * 1009, 7)
    bits = after["input_ids"].numpy().tobytes() + after["labels"].numpy().tobytes()
    assert hashlib.sha256(bits).hexdigest()[:16] == "ad6547b4a30422ef"


def test_every_row_gets_one_hidden_token_at_least(vocabulary: Vocabulary) -> None:
    ids = torch.full((307, 4), 7)
    ids[:, 0] = 2
    ids[5] = 2  # nothing to hide
    after = masking.token()(vocabulary, 3)({"input_ids": ids}, np.arange(307), 0)
    hidden = (after["labels"] != -100).sum(dim=1)
    assert hidden[5] == 0
    assert hidden[torch.arange(307) != 5].min() == 1


def test_the_batch_that_came_in_is_left_as_it_was(vocabulary: Vocabulary) -> None:
    before = batch()
    copy = before["input_ids"].clone()
    masking.token()(vocabulary, 3)(before, np.arange(211), 0)
    assert torch.equal(before["input_ids"], copy)


def test_a_tokenizer_without_mask_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(ConfigError) as raised:
        masking.token()(replace(vocabulary, mask_id=None), 3)
    assert str(raised.value) == (
        "masking needs a tokenizer with a [MASK] token, but this one has none; "
        "add one to its file, or choose another tokenizer.kind."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"probability": 0.0}, "probability must be above 0 and at most 1, not 0.0."),
        (
            {"mask_share": 0.8, "random_share": 0.3},
            "mask_share and random_share must not be negative, nor more than 1 together, "
            "but they are 0.8 and 0.3.",
        ),
    ],
)
def test_shares_out_of_range_are_refused(
    vocabulary: Vocabulary, options: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        masking.token(**options)(vocabulary, 3)
    assert str(raised.value) == sentence
