"""Maskings with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lightformer.draws import below, uniform
from lightformer.errors import ConfigError
from lightformer.examples import IGNORED, Batch, Indices
from lightformer.masking import Masking
from lightformer.registry import Spec, make_spec
from lightformer.testing import check
from lightformer.vocabulary import Vocabulary
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("masking")
Array = npt.NDArray[Any]


class Plain(Masking):
    """Hides a share of the text, to be spoilt."""

    probability = 0.15

    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        super().__init__(vocabulary, seed)
        if vocabulary.mask_id is None:
            raise ConfigError("There is no [MASK].")

    def is_text(self, batch: Batch) -> Array:
        ids = batch["input_ids"].numpy()
        found = ~np.isin(ids, self.vocabulary.special_ids)
        return found & batch["attention_mask"].numpy() if "attention_mask" in batch else found

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return uniform(self.seed, "hide", epoch, indices[:, None], np.arange(shape[1]))

    def instead(self, ids: Array, indices: Indices, epoch: int) -> Array:
        return np.full_like(ids, self.vocabulary.mask_id)

    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        return np.where(chosen, ids, IGNORED)

    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        return {**batch, "input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}

    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        ids = batch["input_ids"].numpy()
        draw = self.draw(ids.shape, indices, epoch)
        chosen = (draw < self.probability) & self.is_text(batch)
        hidden = np.where(chosen, self.instead(ids, indices, epoch), ids)
        return self.finish(batch, hidden, self.labels(ids, hidden, chosen))


@mutants.breaks("runs")
class ForgetsTheLabels(Plain):
    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        return {**batch, "input_ids": torch.from_numpy(ids)}


@mutants.breaks("runs")
class NeedsPadding(Plain):
    """There is no attention_mask in a batch without padding."""

    def is_text(self, batch: Batch) -> Array:
        return super().is_text(batch) & batch["attention_mask"].numpy()


@mutants.breaks("runs")
class ShortLabels(Plain):
    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        return super().labels(ids, hidden, chosen).astype(np.int16)


@mutants.breaks("intact")
class WritesInPlace(Plain):
    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        batch["input_ids"].copy_(torch.from_numpy(ids))
        return {**batch, "labels": torch.from_numpy(labels)}


@mutants.breaks("intact")
class AddsItsLabels(Plain):
    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        batch["labels"] = torch.from_numpy(labels)
        return {**batch, "input_ids": torch.from_numpy(ids)}


@mutants.breaks("keys")
class DropsSegments(Plain):
    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        found = super().finish(batch, ids, labels)
        found.pop("token_type_ids", None)
        return found


@mutants.breaks("keys")
class AnswersForAnother(Plain):
    def finish(self, batch: Batch, ids: Array, labels: Array) -> Batch:
        found = super().finish(batch, ids, labels)
        if "next_sentence_labels" in found:
            found["next_sentence_labels"] = torch.full((len(ids),), IGNORED)
        return found


@mutants.breaks("steady")
class HasAGenerator(Plain):
    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        super().__init__(vocabulary, seed)
        self.generator = np.random.default_rng(seed)

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return self.generator.random(shape)


@mutants.breaks("steady")
class AsksTheGlobalGenerator(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return torch.rand(shape).numpy()


@mutants.breaks("alone")
class CountsRowsOfTheBatch(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        own = np.arange(shape[0]) + indices.min()
        return super().draw(shape, own, epoch)


@mutants.breaks("alone")
class SeedsByTheBatch(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return np.random.default_rng([self.seed, epoch, *indices]).random(shape)


@mutants.breaks("alone")
class SeedsByTheRowButDrawsTheWidth(Plain):
    """From the end, where the padding is."""

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return super().draw(shape, indices, epoch)[:, ::-1]


@mutants.breaks("anew")
class ForgetsTheEpoch(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return super().draw(shape, indices, 0)


@mutants.breaks("anew")
class ForgetsTheSample(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return super().draw(shape, np.zeros_like(indices), epoch)


@mutants.breaks("anew")
class ForgetsTheSeed(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return uniform(0, "hide", epoch, indices[:, None], np.arange(shape[1]))


@mutants.breaks("labels")
class AsksForWhatStandsThere(Plain):
    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        return np.where(chosen, hidden, IGNORED)


@mutants.breaks("labels")
class AsksOneTooFar(Plain):
    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        return np.roll(super().labels(ids, hidden, chosen), 1, axis=1)


@mutants.breaks("labels")
class IgnoresByZero(Plain):
    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        return np.where(chosen, ids, 0)


@mutants.breaks("text")
class HidesSpecialTokens(Plain):
    def is_text(self, batch: Batch) -> Array:
        return batch["attention_mask"].numpy() if "attention_mask" in batch else np.array(True)


@mutants.breaks("text")
class TakesTheFirstForSpecial(Plain):
    def is_text(self, batch: Batch) -> Array:
        ids = batch["input_ids"].numpy()
        found = ids > len(self.vocabulary.special_ids)
        return found & batch["attention_mask"].numpy() if "attention_mask" in batch else found


@mutants.breaks("text")
class HidesPadding(Plain):
    def is_text(self, batch: Batch) -> Array:
        return ~np.isin(batch["input_ids"].numpy(), self.vocabulary.special_ids)


@mutants.breaks("text")
class AlwaysHidesSomething(Plain):
    def __call__(self, batch: Batch, indices: Indices, epoch: int) -> Batch:
        found = super().__call__(batch, indices, epoch)
        rows = torch.nonzero((found["labels"] == IGNORED).all(dim=1)).flatten()
        found["labels"][rows, 0] = found["input_ids"][rows, 0]
        found["input_ids"][rows, 0] = self.vocabulary.mask_id
        return found


@mutants.breaks("hides")
class HidesNothing(Plain):
    def instead(self, ids: Array, indices: Indices, epoch: int) -> Array:
        return ids


@mutants.breaks("hides")
class AsksNothing(Plain):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return super().draw(shape, indices, epoch) + 1.0


@mutants.breaks("vocabulary")
class DrawsOneTooMany(Plain):
    def instead(self, ids: Array, indices: Indices, epoch: int) -> Array:
        places = np.arange(ids.shape[1])
        size = self.vocabulary.size + 1
        return below(size, self.seed, "instead", epoch, indices[:, None], places)


class WithShare(Plain):
    def __init__(self, vocabulary: Vocabulary, seed: int, /, *, probability: float = 0.15) -> None:
        super().__init__(vocabulary, seed)
        self.probability = probability


@mutants.breaks("share")
class AsksOnlyWhereMasked(WithShare):
    """The tenth that stays as it is would teach, but is not asked for."""

    def labels(self, ids: Array, hidden: Array, chosen: Array) -> Array:
        stays = (ids % 5 == 0) & chosen
        hidden[stays] = ids[stays]
        return np.where(chosen & ~stays, ids, IGNORED)


@mutants.breaks("share")
class CountsTheWholeRow(WithShare):
    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return super().draw(shape, indices, epoch) * 2 / 3  # as if a third of it were padding


@mutants.breaks("share")
class HasAShareOfItsOwn(WithShare):
    probability = 0.15

    def __init__(self, vocabulary: Vocabulary, seed: int, /, *, probability: float = 0.3) -> None:
        Plain.__init__(self, vocabulary, seed)


@mutants.breaks("refuses")
class HidesByNothing(Plain):
    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        Masking.__init__(self, vocabulary, seed)


@mutants.breaks("travels")
class HoldsALambda(Plain):
    def __init__(self, vocabulary: Vocabulary, seed: int, /) -> None:
        super().__init__(vocabulary, seed)
        self.purpose = lambda epoch: f"hide {epoch}"

    def draw(self, shape: tuple[int, ...], indices: Indices, epoch: int) -> Array:
        return uniform(self.seed, self.purpose(epoch), epoch, indices[:, None], np.arange(shape[1]))


@pytest.mark.parametrize("part", [Plain, WithShare])
def test_what_is_spoilt_keeps_all_promises_before(part: type[Masking]) -> None:
    check(make_spec("masking", part.__name__, part)()).assert_held()


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)
