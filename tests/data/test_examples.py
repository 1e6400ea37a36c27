from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from corpora import make_corpus
from tokenizers import Tokenizer as Inner
from tokenizers import models, pre_tokenizers, processors

from lightformer import examples
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Corpus
from lightformer.tokenizer import Tokenizer
from lightformer.vocabulary import Vocabulary

# Tokens count up, so that each names its own place in the text.


def every(part: examples.Examples, epoch: int = 0) -> dict[str, torch.Tensor]:
    return part.batch(np.arange(len(part)), epoch)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_windows_of_training_hold_the_text_and_the_next_token(
    vocabulary: Vocabulary, epoch: int
) -> None:
    part = examples.windows(seq_len=7)(make_corpus([[50, 51]]), vocabulary, 3, True)
    batch = every(part, epoch)
    ids = batch["input_ids"]
    assert ids.shape == (13, 7)
    flat = ids.flatten()
    assert torch.equal(flat, flat[0] + torch.arange(91))
    assert 10 <= flat[0] < 17
    assert torch.equal(batch["next_token_labels"], ids + 1)
    assert "attention_mask" not in batch


def test_borders_of_windows_move_with_the_epoch_and_the_seed(vocabulary: Vocabulary) -> None:
    corpus = make_corpus([[50, 51]])
    starts = [
        [
            int(
                examples.windows(seq_len=7)(corpus, vocabulary, seed, True).batch(np.array([0]), e)[
                    "input_ids"
                ][0, 0]
            )
            for e in range(40)
        ]
        for seed in (3, 4)
    ]
    assert set(starts[0]) == set(range(10, 17))
    assert starts[0] != starts[1]


@pytest.mark.parametrize("length", [100, 99, 98, 93, 92])
def test_windows_of_evaluation_ask_for_every_token_but_the_first(
    vocabulary: Vocabulary, length: int
) -> None:
    part = examples.windows(seq_len=7)(make_corpus([[length]]), vocabulary, 3, False)
    batch = every(part, 4)
    labels = batch["next_token_labels"][batch["next_token_labels"] != -100]
    assert labels.tolist() == list(range(11, 10 + length))
    present = batch.get("attention_mask", torch.ones_like(batch["input_ids"], dtype=torch.bool))
    assert torch.equal(batch["input_ids"][batch["next_token_labels"] != -100] + 1, labels)
    assert (batch["input_ids"][~present] == 0).all()
    assert (batch["next_token_labels"][~present] == -100).all()


def test_a_separator_stands_between_documents_and_not_at_the_end(vocabulary: Vocabulary) -> None:
    corpus = make_corpus([[2, 3], [4], [5]], separator=3)
    part = examples.windows(seq_len=100)(corpus, vocabulary, 3, False)
    row = every(part)["input_ids"][0]
    assert row[:16].tolist() == [10, 11, 12, 13, 14, 3, 15, 16, 17, 18, 3, 19, 20, 21, 22, 23]


def test_windows_with_special_tokens_are_framed(vocabulary: Vocabulary) -> None:
    corpus = make_corpus([[36]])
    part = examples.windows(seq_len=7, special_tokens=True)(corpus, vocabulary, 3, True)
    batch = every(part)
    assert batch["input_ids"].shape == (6, 7)
    assert (batch["input_ids"][:, 0] == 2).all()
    assert (batch["input_ids"][:, -1] == 3).all()
    assert torch.equal(batch["next_token_labels"][:, :-1], batch["input_ids"][:, 1:])
    assert (batch["next_token_labels"][:, -1] == -100).all()
    tail = every(examples.windows(seq_len=7, special_tokens=True)(corpus, vocabulary, 3, False))
    last, present = tail["input_ids"][-1], tail["attention_mask"][-1]
    body = tail["input_ids"][~torch.isin(tail["input_ids"], torch.tensor([0, 2, 3]))]
    assert body.tolist() == list(range(10, 46))
    assert last[present][-1] == 3


DOCUMENTS = [[3, 4, 5, 2, 6], [7, 2, 3], [9], [4, 4, 4, 4, 4, 4], [30, 2], [2, 40, 3]]


def pairs(vocabulary: Vocabulary, training: bool = True, **options: Any) -> examples.Examples:
    corpus = make_corpus(DOCUMENTS * 5, separator=3)
    return examples.sentence_pairs(**{"seq_len": 23, **options})(corpus, vocabulary, 3, training)  # type: ignore[no-any-return]


def document_of(corpus: Corpus, token: int) -> int:
    place = int(np.flatnonzero(corpus.tokens == token)[0])
    return int(np.searchsorted(corpus.bounds(), place, side="right")) - 1


def segments(row: torch.Tensor) -> tuple[list[int], list[int]]:
    ids = row.tolist()
    assert ids[0] == 2
    first = ids.index(3)
    second = ids.index(3, first + 1)
    assert set(ids[second + 1 :]) <= {0}
    return ids[1:first], ids[first + 1 : second]


@pytest.mark.parametrize("epoch", [0, 1])
def test_pairs_are_what_their_labels_say(vocabulary: Vocabulary, epoch: int) -> None:
    part = pairs(vocabulary)
    batch = every(part, epoch)
    starts = set(part.corpus.tokens[part.corpus.sentences[:-1]].tolist())
    opens = set(part.corpus.tokens[part.corpus.bounds()[:-1]].tolist())
    alone = {t for t in opens if document_of(part.corpus, t) % 6 == 2}
    for row, label in zip(batch["input_ids"], batch["next_sentence_labels"], strict=True):
        a, b = segments(row)
        assert a == list(range(a[0], a[0] + len(a)))
        assert b == list(range(b[0], b[0] + len(b)))
        same = document_of(part.corpus, a[0]) == document_of(part.corpus, b[0])
        assert same == (label == 0)
        assert b[0] in starts - (opens - alone)
        if label == 0:
            assert b[0] == a[-1] + 1
        for segment in (a, b):
            assert document_of(part.corpus, segment[0]) == document_of(part.corpus, segment[-1])


@pytest.mark.parametrize("epoch", [0, 1])
def test_swapped_pairs_are_two_neighbours_in_either_order(
    vocabulary: Vocabulary, epoch: int
) -> None:
    part = pairs(vocabulary, negative="swapped")
    batch = every(part, epoch)
    starts = set(part.corpus.tokens[part.corpus.sentences[:-1]].tolist())
    for row, label in zip(batch["input_ids"], batch["next_sentence_labels"], strict=True):
        first, second = segments(row)
        if label:
            first, second = second, first
        assert first + second == list(range(first[0], second[-1] + 1))
        assert second[0] in starts
        assert document_of(part.corpus, first[0]) == document_of(part.corpus, second[-1])
    assert 0.2 < batch["next_sentence_labels"].double().mean() < 0.8


def test_swapped_pairs_need_one_document_alone(vocabulary: Vocabulary) -> None:
    made = examples.sentence_pairs(seq_len=23, negative="swapped")
    assert len(every(made(make_corpus([[3, 4, 5]]), vocabulary, 3, True))["input_ids"]) == 1
    with pytest.raises(DataError) as raised:
        made(make_corpus([[3], [4]]), vocabulary, 3, True)
    assert str(raised.value) == (
        "sentence_pairs needs a document with two sentences, but there is none; give more text."
    )
    with pytest.raises(ConfigError) as refused:
        pairs(vocabulary, negative="other")
    assert str(refused.value) == "negative must be other_document or swapped, not 'other'."


def test_pairs_mark_their_segments_and_padding(vocabulary: Vocabulary) -> None:
    batch = every(pairs(vocabulary))
    for row, types, present in zip(
        batch["input_ids"], batch["token_type_ids"], batch["attention_mask"], strict=True
    ):
        a, b = segments(row)
        used = len(a) + len(b) + 3
        expected = [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * (len(row) - used)
        assert types.tolist() == expected
        assert present.tolist() == [True] * used + [False] * (len(row) - used)
    assert batch["input_ids"].shape[1] <= 23


def test_half_of_the_pairs_follow_and_they_change_with_the_epoch(vocabulary: Vocabulary) -> None:
    part = pairs(vocabulary)
    labels = torch.cat([every(part, epoch)["next_sentence_labels"] for epoch in range(60)])
    assert abs(labels.float().mean() - 0.5) < 0.04
    assert not torch.equal(
        every(part, 0)["next_sentence_labels"], every(part, 1)["next_sentence_labels"]
    )


def test_pairs_of_evaluation_never_change(vocabulary: Vocabulary) -> None:
    part = pairs(vocabulary, training=False)
    first, later = every(part, 0), every(part, 7)
    assert all(torch.equal(first[key], later[key]) for key in first)


def test_pairs_are_filled_up_to_the_length(vocabulary: Vocabulary) -> None:
    corpus = make_corpus([[3] * 200, [2] * 301])
    part = examples.sentence_pairs(seq_len=53, short_share=0.0)(corpus, vocabulary, 3, True)
    batch = every(part)
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"], dtype=torch.bool))
    assert mask.sum(dim=1).float().median() >= 50
    short = examples.sentence_pairs(seq_len=53, short_share=1.0)(corpus, vocabulary, 3, True)
    assert every(short)["attention_mask"].sum(dim=1).float().median() < 40


def test_a_sample_does_not_depend_on_its_batch(vocabulary: Vocabulary) -> None:
    part = pairs(vocabulary)
    whole, some = every(part, 3), np.array([7, 2])
    batch = part.batch(some, 3)
    for row, index in enumerate(some):
        a = segments(batch["input_ids"][row])
        assert a == segments(whole["input_ids"][index])


def test_pairs_need_two_documents(vocabulary: Vocabulary) -> None:
    with pytest.raises(DataError) as raised:
        examples.sentence_pairs()(make_corpus([[3, 4, 5]]), vocabulary, 3, True)
    assert str(raised.value) == (
        "sentence_pairs needs at least two documents, one of them with two sentences, but there "
        "are 1 and 1; say with document_separator where a document ends, or give more text."
    )


def test_pairs_need_their_special_tokens(vocabulary: Vocabulary) -> None:
    with pytest.raises(ConfigError) as raised:
        examples.sentence_pairs()(make_corpus(DOCUMENTS), replace(vocabulary, cls_id=None), 3, True)
    assert str(raised.value) == (
        "sentence_pairs needs a tokenizer with [CLS] and [SEP], but this one lacks them; "
        "choose another tokenizer.kind."
    )


def test_labelled_rows_are_framed_cut_and_padded(vocabulary: Vocabulary) -> None:
    corpus = replace(make_corpus([[3], [20], [5]]), labels=np.array([2, 0, 1]))
    part = examples.labelled(seq_len=11)(corpus, vocabulary, 3, True)
    batch = part.batch(np.array([1, 2]), 0)
    assert batch["input_ids"].tolist() == [
        [2, *range(13, 22), 3],
        [2, *range(33, 38), 3, 0, 0, 0, 0],
    ]
    assert batch["labels"].tolist() == [0, 1]
    assert batch["attention_mask"].sum(dim=1).tolist() == [11, 7]
    assert "token_type_ids" not in batch
    assert "attention_mask" not in part.batch(np.array([1]), 0)


def test_of_a_labelled_pair_the_longer_text_is_cut(vocabulary: Vocabulary) -> None:
    corpus = replace(make_corpus([[3, 20], [20, 3], [20, 20], [2, 2]]), labels=np.arange(4))
    part = examples.labelled(seq_len=14)(corpus, vocabulary, 3, True)
    batch = every(part)
    lengths = [tuple(map(len, segments(row))) for row in batch["input_ids"]]
    assert lengths == [(3, 8), (8, 3), (6, 5), (2, 2)]
    assert batch["token_type_ids"][0].tolist() == [0] * 5 + [1] * 9


@pytest.mark.parametrize(
    "template",
    [
        processors.BertProcessing(("</s>", 2), ("<s>", 1)),
        processors.RobertaProcessing(("</s>", 2), ("<s>", 1)),
        processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)]),
        processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 2)]),
        processors.TemplateProcessing("$A </s>", "$A $B </s>", [("</s>", 2)]),
        processors.TemplateProcessing("<s> $A", "<s> $A </s> $B", [("<s>", 1), ("</s>", 2)]),
        processors.TemplateProcessing("$A", "$A </s> </s> $B <s>", [("<s>", 1), ("</s>", 2)]),
    ],
)
def test_a_pair_is_laid_out_as_its_tokenizer_does(template: Any) -> None:
    words = ["<pad>", "<s>", "</s>", *map(chr, range(97, 123))]
    inner = Inner(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(words[:3])
    inner.post_processor = template
    corpus = replace(make_corpus([[3, 5], [2, 1], [4, 2]]), labels=np.arange(3))
    known = Tokenizer(inner).vocabulary
    part = examples.labelled(seq_len=13)(corpus, known, 3, True)
    batch = every(part)
    present = batch.get("attention_mask", torch.ones_like(batch["input_ids"]) == 1)
    for number, first in enumerate(corpus.documents[:-1]):
        start, middle, end = corpus.sentences[first : first + 3]
        texts = (
            " ".join(words[i + 10] for i in range(*at)) for at in ((start, middle), (middle, end))
        )
        expected = inner.encode(*texts)
        row = present[number]
        assert batch["input_ids"][number][row].tolist() == expected.ids
        owners = batch["token_type_ids"][number][row].tolist()
        text = [i for i, of in enumerate(expected.sequence_ids) if of is not None]
        assert [owners[i] for i in text] == [expected.sequence_ids[i] for i in text]
    assert part.lengths(np.arange(3), 0).tolist() == present.sum(dim=1).tolist()
    pairs = examples.sentence_pairs(seq_len=17, short_share=0.0)
    if known.cls_id is not None and known.sep_id is not None:
        rows = every(pairs(make_corpus(DOCUMENTS * 5), known, 3, True))["input_ids"]
        assert rows.shape[1] == 17
        special = torch.isin(rows[0], torch.tensor([1, 2]))
        assert int(special.sum()) == sum(map(len, known.frame(2)))


def test_a_template_that_turns_a_pair_around_is_refused() -> None:
    inner = Inner(models.WordLevel({"a": 0, "</s>": 1}, unk_token="a"))
    inner.post_processor = processors.TemplateProcessing("$A", "$B </s> $A", [("</s>", 1)])
    with pytest.raises(ConfigError) as raised:
        Tokenizer(inner)
    assert str(raised.value) == (
        "The template of a tokenizer must put the first text of a pair first, but this one the second; "
        "change its post_processor."
    )


def test_rows_without_special_tokens_have_none() -> None:
    corpus = replace(make_corpus([[3]]), labels=np.array([0]))
    part = examples.labelled(seq_len=11)(corpus, Vocabulary(size=99), 3, True)
    assert every(part)["input_ids"].tolist() == [[10, 11, 12]]


def test_text_without_labels_is_no_labelled_data(vocabulary: Vocabulary) -> None:
    with pytest.raises(ConfigError) as raised:
        examples.labelled()(make_corpus([[3]]), vocabulary, 3, True)
    assert str(raised.value) == (
        "examples 'labelled' needs data with labels, but this is plain text; "
        "choose windows or sentence_pairs, or another data module."
    )


@pytest.mark.parametrize("separator", [None, 3])
def test_a_corpus_is_split_between_documents(separator: int | None) -> None:
    first, last = make_corpus([[10, 20], [30], [29], [10]], separator).split(0.1)
    assert (first.num_documents, last.num_documents) == (3, 1)
    assert last.tokens[last.start : last.stop].tolist() == list(range(99, 109))


class OneByOne:
    """An array of which a few values may be had, and no more: there may be billions."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values, self.asked = values, 0

    def __getitem__(self, place: int) -> int:
        self.asked += 1
        return int(self.values[int(place)])


def test_a_corpus_is_split_where_that_is_nearest_to_the_share() -> None:
    draw = np.random.default_rng(3)
    for _ in range(300):
        lengths = draw.integers(0, 5, size=draw.integers(2, 90)) * draw.integers(0, 2)
        sentences = 7 + np.concatenate([[0], np.cumsum(lengths)])
        few: Any = OneByOne(sentences)
        corpus = Corpus(np.zeros(500), few, np.arange(len(sentences)))
        share = draw.random()
        cut = 7 + int((sentences[-1] - 7) * (1 - share))
        nearest = int(np.abs(sentences[1:-1] - cut).argmin()) + 1
        assert corpus.split(share)[0].num_documents == nearest
        assert few.asked < 30


def test_a_single_document_is_split_between_tokens() -> None:
    first, last = make_corpus([[31, 37, 33]], separator=3).split(0.1)
    assert first.tokens[first.start : first.stop].tolist() == list(range(10, 100))
    assert last.tokens[last.start : last.stop].tolist() == list(range(100, 111))
    assert first.sentences.tolist() == [0, 31, 68, 90]
    assert last.sentences.tolist() == [90, 101]


def test_lengths_do_not_tell_whether_a_pair_follows(vocabulary: Vocabulary) -> None:
    draw = np.random.default_rng(7)
    lengths = [draw.integers(2, 40, size=draw.integers(3, 30)).tolist() for _ in range(150)]
    part = examples.sentence_pairs(seq_len=61)(make_corpus(lengths), vocabulary, 3, True)
    batches = [part.batch(np.arange(len(part)), epoch) for epoch in range(6)]
    follows = np.concatenate([batch["next_sentence_labels"].numpy() == 0 for batch in batches])
    segments = [
        np.concatenate([_lengths(batch, segment) for batch in batches]) for segment in (0, 1)
    ]
    full = segments[0] + segments[1] == 61
    for measured in (*segments, full.astype(float)):
        error = measured.std() * (1 / follows.sum() + 1 / (~follows).sum()) ** 0.5
        assert abs(measured[follows].mean() - measured[~follows].mean()) < 4 * error


def _lengths(batch: dict[str, torch.Tensor], segment: int) -> np.ndarray:
    """How many tokens of a row belong to a segment."""
    own = batch["token_type_ids"] == segment
    if "attention_mask" in batch:
        own = own & batch["attention_mask"]
    return own.sum(dim=1).numpy()
