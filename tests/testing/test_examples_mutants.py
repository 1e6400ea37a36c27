"""Ways of cutting with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lightformer.draws import below
from lightformer.errors import ConfigError, DataError
from lightformer.examples import IGNORED, Batch, Corpus, Examples, Indices, as_batch
from lightformer.layout import frame
from lightformer.registry import Spec, make_spec
from lightformer.testing import check, promises
from lightformer.vocabulary import Vocabulary
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("examples")
Array = npt.NDArray[Any]


class Plain(Examples):
    """Windows of one length, framed and padded, to be spoilt."""

    width = 31

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        if corpus.stop - corpus.start < 1:
            raise DataError("There is no text.")

    def __len__(self) -> int:
        return -(-(self.corpus.stop - self.corpus.start) // self.width)

    def shift(self, epoch: int) -> int:
        """How far windows are moved, so that the first is shorter."""
        return int(below(self.width, self.seed, "shift", epoch)) if self.training else 0

    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        """Where windows begin and end in the tokens of the corpus."""
        start = self.corpus.start + indices * self.width - self.shift(epoch) * (len(self) > 1)
        stop = np.minimum(start + self.width, self.corpus.stop)
        return np.maximum(start, self.corpus.start), stop

    def batch(self, indices: Indices, epoch: int) -> Batch:
        start, stop = self.starts(indices, epoch)
        places = start[:, None] + np.arange(int((stop - start).max()))
        inside = places < stop[:, None]
        tokens = self.corpus.tokens[np.where(inside, places, 0)].astype(np.int64)
        ids = np.where(inside, tokens, self.vocabulary.pad_id)
        ids = np.concatenate((np.full((len(ids), 1), self.vocabulary.cls_id), ids), axis=1)
        inside = np.concatenate((np.ones((len(ids), 1), dtype=bool), inside), axis=1)
        return self.finish(ids, inside, indices, epoch)

    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(inside)}


@mutants.breaks("runs")
class CountsOneTooMany(Plain):
    def __len__(self) -> int:
        return (self.corpus.stop - self.corpus.start) // self.width + 2

    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        start, stop = super().starts(indices, epoch)
        if (start >= stop).any():
            raise IndexError("there is no such window")
        return start, stop


@mutants.breaks("runs")
class SkipsWhatItHasGiven(Plain):
    def batch(self, indices: Indices, epoch: int) -> Batch:
        return super().batch(np.unique(indices), epoch)


@mutants.breaks("runs")
class WritesToTheText(Plain):
    """Which comes from disk, and cannot be written to."""

    def batch(self, indices: Indices, epoch: int) -> Batch:
        self.corpus.tokens[self.corpus.start] = self.vocabulary.cls_id
        return super().batch(indices, epoch)


@mutants.breaks("keys")
class LeavesTheDtypeOfTheDisk(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        return super().finish(ids.astype(np.int32), inside, indices, epoch)


@mutants.breaks("keys")
class MasksByNumbers(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        found = super().finish(ids, inside, indices, epoch)
        return {**found, "attention_mask": found["attention_mask"].long()}


@mutants.breaks("keys")
class HasLabelsInAColumn(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        labels = torch.zeros(len(ids), 1, dtype=torch.int64)
        found = super().finish(ids, inside, indices, epoch)
        return {**found, "next_sentence_labels": labels}


@mutants.breaks("vocabulary")
class PadsWithMinusOne(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        return super().finish(np.where(inside, ids, -1), inside, indices, epoch)


@mutants.breaks("padding")
class ForgetsTheMask(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        return {"input_ids": torch.from_numpy(ids)}


@mutants.breaks("padding")
class PadsWithZero(Plain):
    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        return super().finish(np.where(inside, ids, 0), inside, indices, epoch)


@mutants.breaks("padding")
class MasksOneTooMany(Plain):
    """The mask is made before [CLS] is put in front."""

    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        inside = inside.copy()
        inside[:, :-1] = inside[:, 1:]
        inside[:, -1] = False
        return super().finish(ids, inside, indices, epoch)


@mutants.breaks("length")
class DoesNotCountItsFrame(Plain):
    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        seed: int,
        training: bool,
        /,
        *,
        seq_len: int = 31,
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        self.width = seq_len


class Elsewhere(Plain):
    """Reads another stretch of the same length."""

    def move(self) -> int:
        raise NotImplementedError

    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        start, stop = super().starts(indices, epoch)
        return start + self.move(), stop + self.move()


@mutants.breaks("split")
class ReadsFromTheFirstToken(Elsewhere):
    def move(self) -> int:
        return -self.corpus.start


@mutants.breaks("split")
class ReadsPastTheEnd(Elsewhere):
    def move(self) -> int:
        room = len(self.corpus.tokens) - self.corpus.stop
        return min(2, room)


@mutants.breaks("reaches")
class DropsTheLastDocument(Plain):
    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        self.end = int(corpus.bounds()[max(1, corpus.num_documents - 1)])

    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        start, stop = super().starts(indices, epoch)
        start = np.minimum(start, self.end - 1)
        return start, np.clip(stop, start + 1, self.end)


@mutants.breaks("reaches")
class StaysAtTheBeginning(Plain):
    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        return super().starts(indices // 4, epoch)


@mutants.breaks("tiny")
class SpreadsTheRest(Plain):
    """Over the windows, of which a short text has none."""

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        size = corpus.stop - corpus.start
        self.width = size // (size // self.width)


@mutants.breaks("steady")
class HasAGenerator(Plain):
    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        self.generator = np.random.default_rng(seed)

    def shift(self, epoch: int) -> int:
        return int(self.generator.integers(self.width))


@mutants.breaks("steady")
class CountsItsCalls(Plain):
    calls = 0

    def shift(self, epoch: int) -> int:
        self.calls += 1
        return self.calls % self.width


@mutants.breaks("alone")
class CutsToTheShortest(Plain):
    """So that nothing has to be padded."""

    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        start, stop = super().starts(indices, epoch)
        return start, start + (stop - start).min()


@mutants.breaks("alone")
class DrawsByThePlaceInTheBatch(Plain):
    def starts(self, indices: Indices, epoch: int) -> tuple[Array, Array]:
        start, stop = super().starts(indices, epoch)
        cut = below(3, self.seed, "cut", epoch * self.training, np.arange(len(indices)))
        return start, np.maximum(stop - cut, start + 1)


@mutants.breaks("evaluation")
class MovesInEvaluation(Plain):
    def shift(self, epoch: int) -> int:
        return int(below(self.width, self.seed, "shift", epoch))


@mutants.breaks("seed")
class ForgetsTheSeed(Plain):
    def shift(self, epoch: int) -> int:
        return int(below(self.width, 0, "shift", epoch)) if self.training else 0


class WithLabels(Plain):
    """Asks for the next token."""

    def next_tokens(self, ids: Array, inside: Array) -> Array:
        labels = np.full_like(ids, IGNORED)
        labels[:, :-1] = np.where(inside[:, 1:], ids[:, 1:], IGNORED)
        return labels

    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        found = super().finish(ids, inside, indices, epoch)
        return {**found, "next_token_labels": torch.from_numpy(self.next_tokens(ids, inside))}


@mutants.breaks("next tokens")
class AsksForTheSameToken(WithLabels):
    def next_tokens(self, ids: Array, inside: Array) -> Array:
        return np.where(inside, ids, IGNORED)


@mutants.breaks("next tokens")
class AsksForTheTokenBefore(WithLabels):
    def next_tokens(self, ids: Array, inside: Array) -> Array:
        labels = np.where(inside, np.roll(ids, 1, axis=1), IGNORED)
        labels[:, 0] = IGNORED
        return labels


@mutants.breaks("next tokens")
class AsksForPadding(WithLabels):
    def next_tokens(self, ids: Array, inside: Array) -> Array:
        labels = np.roll(ids, -1, axis=1)
        labels[:, -1] = IGNORED
        return labels


@mutants.breaks("next tokens")
class AsksForNothing(WithLabels):
    def next_tokens(self, ids: Array, inside: Array) -> Array:
        return np.full_like(ids, IGNORED)


class WithSegments(Plain):
    """Divides each window in two."""

    first = 0

    def halves(self, ids: Array) -> Array:
        return (np.arange(ids.shape[1]) >= min(5, ids.shape[1] - 1)).astype(np.int64)[None]

    def finish(self, ids: Array, inside: Array, indices: Indices, epoch: int) -> Batch:
        kinds = (self.halves(ids) + self.first) * inside
        found = super().finish(ids, inside, indices, epoch)
        return {**found, "token_type_ids": torch.from_numpy(kinds)}


@mutants.breaks("segments")
class StartsAtOne(WithSegments):
    first = 1


@mutants.breaks("segments")
class SkipsANumber(WithSegments):
    def halves(self, ids: Array) -> Array:
        return super().halves(ids) * 2


class Pairs(Plain):
    """Windows that are cut in two; for some of them the second half is from elsewhere."""

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        if corpus.stop - corpus.start < 50:
            raise DataError("There is not enough text.")

    def halves(self, indices: Indices, epoch: int, start: Array, stop: Array) -> tuple[Array, ...]:
        """Where the first ends, where the second starts and stops, and whether it is from elsewhere."""
        middle = (start + stop + 1) // 2
        other = below(2, self.seed, "other", epoch * self.training, indices)
        early = start < (self.corpus.start + self.corpus.stop) / 2
        away = np.where(early, self.corpus.stop - 9, self.corpus.start)
        return middle, np.where(other, away, middle), np.where(other, away + 9, stop), other

    def batch(self, indices: Indices, epoch: int) -> Batch:
        start, stop = self.starts(indices, epoch)
        end, second, last, other = self.halves(indices, epoch, start, stop)
        lengths = [end - start, last - second]
        ids, inside, kinds = frame(self.corpus, self.vocabulary, [start, second], lengths)
        return as_batch(ids, inside, token_type_ids=kinds, next_sentence_labels=other)


@mutants.breaks("pairs")
class SwapsTheLabels(Pairs):
    def halves(self, indices: Indices, epoch: int, start: Array, stop: Array) -> tuple[Array, ...]:
        *found, other = super().halves(indices, epoch, start, stop)
        return *found, 1 - other


@mutants.breaks("pairs")
class LosesATokenBetween(Pairs):
    def halves(self, indices: Indices, epoch: int, start: Array, stop: Array) -> tuple[Array, ...]:
        end, second, last, other = super().halves(indices, epoch, start, stop)
        return end, np.minimum(second + 1, last - 1), last, other


class WithClasses(Examples):
    """The beginning of each document, with its class; short documents first."""

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        if corpus.labels is None:
            raise ConfigError("There are no labels.")
        self.labels = corpus.labels
        self.order = np.argsort(np.diff(corpus.bounds()), kind="stable")

    def __len__(self) -> int:
        return self.corpus.num_documents

    def classes(self, indices: Indices) -> Array:
        return self.labels[self.order[indices]]

    def batch(self, indices: Indices, epoch: int) -> Batch:
        start = self.corpus.bounds()[self.order[indices]]
        lengths = np.minimum(np.diff(self.corpus.bounds())[self.order[indices]], 23)
        ids, inside, _ = frame(self.corpus, self.vocabulary, [start], [lengths])
        return as_batch(ids, inside, labels=self.classes(indices))


@mutants.breaks("classes")
class SortsTheTextsAlone(WithClasses):
    def classes(self, indices: Indices) -> Array:
        return self.labels[indices]


@mutants.breaks("lengths")
class ForgetsItsFrame(Plain):
    def lengths(self, indices: Indices, epoch: int) -> Indices:
        return super().lengths(indices, epoch) - 1


@mutants.breaks("lengths")
class HasTheLengthsOfAll(Plain):
    def lengths(self, indices: Indices, epoch: int) -> Indices:
        return super().lengths(np.arange(len(self)), epoch)


class Several(Examples):
    """Three documents a row, or their first tokens; made one by one."""

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        bounds = corpus.bounds()
        self.texts = [
            corpus.tokens[start : min(start + 11, stop)].tolist()
            for start, stop in pairwise(bounds.tolist())
        ]

    def __len__(self) -> int:
        return -(-len(self.texts) // 3)

    def batch(self, indices: Indices, epoch: int) -> Batch:
        keys = ("input_ids", "document_ids", "position_ids", "next_token_labels")
        found = {key: torch.zeros(len(indices), 33, dtype=torch.int64) for key in keys}
        found["input_ids"] += self.vocabulary.pad_id
        found["next_token_labels"] += IGNORED
        found["attention_mask"] = torch.zeros(len(indices), 33, dtype=torch.bool)
        for row, index in enumerate(indices.tolist()):
            at = 0
            for number, text in enumerate(self.texts[3 * index : 3 * index + 3]):
                own = slice(at, at + len(text))
                found["input_ids"][row, own] = torch.tensor(text)
                found["document_ids"][row, own] = number
                found["position_ids"][row, own] = torch.arange(len(text))
                found["next_token_labels"][row, own] = torch.tensor([*text[1:], IGNORED])
                found["attention_mask"][row, own] = True
                at += len(text)
        return self.spoilt(found)

    def spoilt(self, batch: Batch) -> Batch:
        return batch


@mutants.breaks("documents")
class TellsNoDocuments(Several):
    def spoilt(self, batch: Batch) -> Batch:
        return {**batch, "document_ids": batch["document_ids"] * 0}


@mutants.breaks("documents")
class TakesEachTokenForADocument(Several):
    def spoilt(self, batch: Batch) -> Batch:
        return {**batch, "document_ids": batch["document_ids"] * 0 + torch.arange(33)}


@mutants.breaks("documents")
class CallsTheThirdAsTheFirst(Several):
    def spoilt(self, batch: Batch) -> Batch:
        return {**batch, "document_ids": batch["document_ids"] % 2}


@mutants.breaks("positions")
class CountsOverBorders(Several):
    def spoilt(self, batch: Batch) -> Batch:
        return {**batch, "position_ids": torch.arange(33).expand_as(batch["input_ids"])}


@mutants.breaks("positions")
class CountsFromOne(Several):
    def spoilt(self, batch: Batch) -> Batch:
        return {**batch, "position_ids": batch["position_ids"] + 1}


@mutants.breaks("borders")
class AsksAcrossBorders(Several):
    def spoilt(self, batch: Batch) -> Batch:
        ids, mask = batch["input_ids"], batch["attention_mask"]
        labels = torch.full_like(ids, IGNORED)
        labels[:, :-1] = ids[:, 1:].where(mask[:, 1:], torch.tensor(IGNORED))
        return {**batch, "next_token_labels": labels}


@mutants.breaks("travels")
class HoldsALambda(Plain):
    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, seed: int, training: bool, /
    ) -> None:
        super().__init__(corpus, vocabulary, seed, training)
        self.end = lambda start: start + self.width


@pytest.mark.parametrize("part", [Plain, WithLabels, WithSegments, Pairs, WithClasses, Several])
def test_what_is_spoilt_keeps_all_promises_before(part: type[Examples]) -> None:
    check(make_spec("examples", part.__name__, part)()).assert_held()


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("examples")}
