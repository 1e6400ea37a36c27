"""Maskings of words and spans with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import numpy as np
import pytest

from lightformer.draws import uniform
from lightformer.errors import ConfigError
from lightformer.examples import Batch, Indices
from lightformer.registry import Spec, make_spec
from lightformer.testing import check, promises
from lightformer.vocabulary import Vocabulary
from tests.testing import test_masking_mutants
from tests.testing.mutants import Mutants, assert_named
from tests.testing.test_masking_mutants import Array, Plain

mutants = Mutants("masking")


class KnowsWords(Plain):
    """Hides words, found as their tokens go by, to be spoilt."""

    owners: tuple[str, ...] = ("document_ids", "token_type_ids")

    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        super().__init__(vocabulary, seed)
        if not vocabulary.word_starts:
            raise ConfigError("There are no words.")

    def heads(self, batch: Batch) -> Array:
        """The column where the word of each token begins."""
        is_text, ids = self.is_text(batch), batch["input_ids"].numpy()
        owners = [batch[key].numpy() for key in self.owners if key in batch]
        found = np.zeros_like(ids)
        for row, column in np.argwhere(is_text):
            here, before = (row, column), (row, column - 1)
            goes_on = column and is_text[before] and not self.vocabulary.word_starts[ids[here]]
            goes_on = goes_on and all(owner[here] == owner[before] for owner in owners)
            found[here] = found[before] if goes_on else column
        return found

    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        self.places = self.heads(batch)
        return super().__call__(batch, indices, epoch)

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return uniform(self.seed, "hide", epoch, indices[:, None], self.places)


@mutants.breaks("words")
class AsksForSingleTokens(KnowsWords):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return Plain.draw(self, shape, indices, epoch)


@mutants.breaks("words")
class CutsWordsOfThree(KnowsWords):
    def heads(self, batch: Batch) -> Array:
        found = super().heads(batch)
        places = np.arange(found.shape[1])
        return np.where(places - found < 2, found, places)


@mutants.breaks("words")
class LeavesOutTheFirstPiece(KnowsWords):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        alone = self.places[:, 1:] != self.places[:, :-1]  # a word of one token is one
        first = (self.places == np.arange(shape[1])) & ~np.pad(alone, [(0, 0), (0, 1)])
        return super().draw(shape, indices, epoch) + first


@mutants.breaks("borders")
class ReadsOnInTheNextDocument(KnowsWords):
    owners = ("token_type_ids",)


@mutants.breaks("borders")
class ReadsOnInTheNextSegment(KnowsWords):
    owners = ("document_ids",)


@mutants.breaks("borders")
class SpansOfThreeAnywhere(Plain):
    probability = 0.06

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        draw = super().draw(shape, indices, epoch)
        for _ in range(2):
            draw[:, 1:] = np.minimum(draw[:, 1:], draw[:, :-1])
        return draw


def test_what_is_spoilt_keeps_all_promises_before() -> None:
    check(make_spec("masking", "KnowsWords", KnowsWords)()).assert_held()


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    found = [*mutants.found, *test_masking_mutants.mutants.found]
    assert {promise for promise, *_ in found} == {p.name for p in promises("masking")}
