"""Whole words and spans: shares, lengths, borders, fates, and what does not tell words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightformer import masking
from lightformer.errors import ConfigError
from lightformer.hiding import NOT_CHOSEN
from lightformer.masking import MaskingSpec
from lightformer.tasks import MaskedLM
from lightformer.vocabulary import Vocabulary
from lightformer.words import LONGEST

WORDS = [masking.whole_word(), masking.span()]
ALL = [*WORDS, masking.span(whole_words=False)]


@pytest.fixture
def words(vocabulary: Vocabulary) -> Vocabulary:
    """Of seven ids, four begin a word."""
    return replace(vocabulary, word_starts=tuple(i % 7 < 4 for i in range(vocabulary.size)))


def batch(rows: int, width: int, seed: int = 0, **others: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"input_ids": torch.randint(5, 5003, (rows, width), generator=generator), **others}


def asked(
    spec: MaskingSpec, vocabulary: Vocabulary, rows: dict[str, Tensor], epoch: int = 0
) -> Any:
    part = spec(vocabulary, 3)
    return part(rows, np.arange(len(rows["input_ids"])), epoch)["labels"].numpy() != -100


def chosen(spec: MaskingSpec, vocabulary: Vocabulary, rows: dict[str, Tensor]) -> Any:
    """The column by which the fate of each token is drawn."""
    ids = rows["input_ids"].numpy()
    part: Any = spec(vocabulary, 3)
    return part.choose(rows, ~np.isin(ids, vocabulary.special_ids), np.arange(len(ids)), 0)


@pytest.mark.parametrize("spec", ALL, ids=["words", "spans", "token spans"])
@pytest.mark.parametrize("width", [19, 37, 131])
def test_the_share_is_kept_in_short_rows_too(
    spec: MaskingSpec, width: int, words: Vocabulary
) -> None:
    found = np.concatenate([asked(spec, words, batch(9001, width, e), e) for e in range(3)])
    assert abs(found.mean() - 0.15) < 0.0015 + 0.01 * (width < 20)
    assert found.any(axis=1).all()


@pytest.mark.parametrize("probability", [0.07, 0.5, 0.93])
@pytest.mark.parametrize("name", ["whole_word", "span"])
def test_other_shares_are_kept(name: str, probability: float, words: Vocabulary) -> None:
    spec = getattr(masking, name)(probability=probability)
    assert abs(asked(spec, words, batch(3001, 67)).mean() - probability) < 0.006


def test_all_can_be_hidden(words: Vocabulary) -> None:
    for spec in (masking.whole_word(probability=1.0), masking.span(probability=1.0)):
        assert asked(spec, words, batch(53, 31)).all()


@pytest.mark.parametrize("spec", ALL, ids=["words", "spans", "token spans"])
def test_the_first_and_the_last_are_hidden_as_often(spec: MaskingSpec, words: Vocabulary) -> None:
    share = asked(spec, words, batch(12007, 71)).mean(axis=0)
    assert abs(share - 0.15).max() < 0.02


def test_lengths_of_spans_are_geometric_and_bounded(words: Vocabulary) -> None:
    found = chosen(masking.span(whole_words=False), words, batch(2003, 499))
    inner = found[:, 11:-11]
    _, lengths = np.unique(
        (inner + 1000 * np.arange(2003)[:, None])[
            (inner != NOT_CHOSEN) & (inner >= 11) & (inner < 478)
        ],
        return_counts=True,
    )
    expected = 0.2 * 0.8 ** np.arange(10) / (1 - 0.8**10)
    assert np.allclose(np.bincount(lengths, minlength=11)[1:] / len(lengths), expected, atol=0.005)
    assert lengths.mean() == pytest.approx(3.8, abs=0.03)


def test_a_span_counts_words(words: Vocabulary) -> None:
    rows = batch(503, 211)
    spec = masking.span(stop=1e-9, max_length=3)  # nearly all are of 1, 2 or 3 words, as often
    found = chosen(spec, words, rows)
    starts = (rows["input_ids"].numpy() % 7 < 4) & (found != NOT_CHOSEN)
    starts |= found == np.arange(211)
    key = found + 1000 * np.arange(503)[:, None]
    _, lengths = np.unique(key[starts], return_counts=True)
    assert np.allclose(np.bincount(lengths)[1:] / len(lengths), 1 / 3, atol=0.03)


@pytest.mark.parametrize("spec", ALL, ids=["words", "spans", "token spans"])
@pytest.mark.parametrize("key", ["document_ids", "token_type_ids"])
def test_nothing_crosses_a_border(spec: MaskingSpec, key: str, words: Vocabulary) -> None:
    owner = (torch.arange(61) // 7 + torch.arange(61) // 23).repeat(997, 1)
    found = chosen(spec, words, batch(997, 61, **{key: owner}))
    rows, columns = np.nonzero(found != NOT_CHOSEN)
    assert (owner[rows, columns] == owner[rows, found[rows, columns]]).all()
    sides = (found != NOT_CHOSEN)[:, [6, 7]].T
    assert abs(np.corrcoef(sides)[0, 1]) < 0.1


def test_words_of_special_tokens_and_padding_are_left_alone(words: Vocabulary) -> None:
    rows = batch(401, 53)
    rows["input_ids"][:, 13] = 3
    rows["input_ids"][::2, 41:] = 0
    rows["attention_mask"] = torch.ones(401, 53, dtype=torch.bool)
    rows["attention_mask"][1::2, 47:] = False
    bare = torch.isin(rows["input_ids"], torch.tensor(words.special_ids)) | ~rows["attention_mask"]
    for spec in ALL:
        found = asked(spec, words, rows)
        assert not found[bare].any()
        assert found[~bare].mean() == pytest.approx(0.15, abs=0.01)


def test_a_span_shares_its_fate_and_a_word_does_not(words: Vocabulary) -> None:
    shares = {"mask_share": 0.5, "random_share": 0.25}
    for spec, together in ((masking.span(**shares), True), (masking.whole_word(**shares), False)):
        rows = batch(2003, 101)
        after = spec(words, 3)(rows, np.arange(2003), 0)
        found, ids = chosen(spec, words, rows), after["input_ids"].numpy()
        hidden = found != NOT_CHOSEN
        is_mask, is_kept = ids == 4, ids == rows["input_ids"].numpy()
        assert is_mask[hidden].mean() == pytest.approx(0.5, abs=0.03)
        assert is_kept[hidden].mean() == pytest.approx(0.25, abs=0.03)
        both = hidden[:, 1:] & hidden[:, :-1]
        if together:
            both &= found[:, 1:] == found[:, :-1]
        same = (is_mask[:, 1:] == is_mask[:, :-1])[both].mean()
        assert same == 1 if together else same == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("spec", ALL, ids=["words", "spans", "token spans"])
def test_what_is_hidden_depends_on_seed_epoch_and_sample_alone(
    spec: MaskingSpec, words: Vocabulary
) -> None:
    rows, part, indices = batch(307, 43), spec(words, 3), np.arange(1000, 1307)
    whole = part(rows, indices, 2)
    some = np.array([300, 5, 11])
    for key, value in part({k: v[some] for k, v in rows.items()}, indices[some], 2).items():
        assert torch.equal(value, whole[key][some])
    for other in (
        part(rows, indices, 3),
        part(rows, indices + 1, 2),
        spec(words, 4)(rows, indices, 2),
    ):
        both = (other["labels"] != -100) & (whole["labels"] != -100)
        assert both.float().mean() < 0.04


def test_text_without_white_space_is_cut(words: Vocabulary) -> None:
    rows = {"input_ids": torch.full((83, 4 * LONGEST), 12)}  # goes on with a word
    found = asked(masking.whole_word(), words, rows)
    assert set(found.sum(axis=1)) == {LONGEST}
    assert found.mean(axis=0).min() > 0.1


def test_a_tokenizer_that_does_not_tell_words_is_refused(vocabulary: Vocabulary) -> None:
    for spec in WORDS:
        with pytest.raises(ConfigError) as raised:
            spec(vocabulary, 3)
        assert str(raised.value) == (
            f"{spec.name} needs a tokenizer that shows where a word begins, but none of its tokens begins "
            "with white space, ▁ or Ġ, or goes on with ##; choose a tokenizer.kind, which all do, or masking: token."
        )
    masking.span(whole_words=False)(vocabulary, 3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stop": 0.0}, "stop must be above 0 and at most 1, not 0.0."),
        ({"max_length": 0}, "max_length must be at least 1 word, but is 0."),
        ({"probability": 1.5}, "probability must be above 0 and at most 1, not 1.5."),
    ],
)
def test_lengths_out_of_range_are_refused(
    options: dict[str, Any], sentence: str, words: Vocabulary
) -> None:
    with pytest.raises(ConfigError) as raised:
        masking.span(**options)(words, 3)
    assert str(raised.value) == sentence


def test_a_model_keeps_no_list_of_words(words: Vocabulary) -> None:
    task = MaskedLM(vocabulary=words)
    assert task.vocabulary == words
    assert task.hparams["vocabulary"]["word_starts"] == []
