"""The ids that are seen: the same for any number of ranks and workers, and after any restart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from corpora import make_corpus
from runs import trainer

from lightformer import examples, masking
from lightformer.data.loader import EvaluationLoader, StepLoader
from lightformer.data.mixture import Mixture
from lightformer.data.samples import Samples
from lightformer.examples import Corpus
from lightformer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(size=5003, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, eos_id=3)
WAYS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "grouped": {"group_by_length": True},
    "budget": {"batch_tokens": 499},
}


def corpus(count: int, seed: int) -> Corpus:
    sizes = np.random.default_rng(seed).integers(2, 29, size=(count, 1)).tolist()
    return make_corpus(sizes, separator=3)


def made(kind: str, training: bool = True) -> Samples:
    masks = masking.token(probability=0.3)(VOCABULARY, 3)
    if kind == "mixture":
        part = examples.documents(seq_len=31)
        parts = [part(corpus(n, n), VOCABULARY, n, training) for n in (31, 53, 41)]
        return Samples(Mixture(parts, [2.0, 3.0, 1.0], 0, 3, training), masks)
    if kind == "fractions":
        part = examples.packed(seq_len=31)
        parts = [part(corpus(n, n), VOCABULARY, n, training) for n in (101, 211)]
        return Samples(Mixture(parts, [0.7, 1.3], 0, 3, training), masks)
    chosen = {
        "packed": examples.packed(seq_len=31),
        "documents": examples.documents(seq_len=31),
        "split": examples.documents(seq_len=23, special_tokens=True, long="split"),
    }[kind]
    return Samples(chosen(corpus(181, 7), VOCABULARY, 3, training), masks)


CASES = pytest.mark.parametrize(
    ("kind", "way"),
    [
        (kind, way)
        for kind in ("packed", "documents", "split", "mixture", "fractions")
        for way in WAYS
        if (kind, way) != ("fractions", "budget")  # which is refused
    ],
)

Rows = dict[int, tuple[int, ...]]


def loader(samples: Samples, way: str, workers: int = 0, **run: int) -> StepLoader:
    return StepLoader(
        samples, batch_size=13, seed=5, num_workers=workers, trainer=trainer(**run), **WAYS[way]
    )


def rows(batch: dict[str, Any]) -> Rows:
    """Each sample of a batch by its id, without the padding."""
    ids, labels = batch["input_ids"], batch["labels"]
    mask = batch.get("attention_mask", torch.ones_like(ids, dtype=torch.bool))
    return {
        int(name): (*ids[row][mask[row]].tolist(), *labels[row][mask[row]].tolist())
        for row, name in enumerate(batch["sample_ids"])
    }


def steps(samples: Samples, way: str, world: int, accumulate: int, **run: int) -> Iterator[Rows]:
    """What all ranks together see in each optimizer step of the rest of an epoch."""
    start = run.pop("step", 0) * accumulate
    ranks = [
        loader(samples, way, world=world, rank=r, accumulate=accumulate, ready=start, **run)
        for r in range(world)
    ]
    assert len({len(rank) for rank in ranks}) == 1
    micro = list(zip(*ranks, strict=True))
    assert start + len(micro) == len(ranks[0])
    for first in range(0, len(micro), accumulate):
        batches = [batch for own in micro[first : first + accumulate] for batch in own]
        found = {name: row for batch in batches for name, row in rows(batch).items()}
        assert len(found) == sum(len(batch["sample_ids"]) for batch in batches)
        yield found


@CASES
def test_any_number_of_ranks_sees_the_same_steps(kind: str, way: str) -> None:
    samples = made(kind)
    for epoch in (0, 1):
        whole = list(steps(samples, way, 1, 1, current_epoch=epoch))
        assert len(whole) > 4
        for world, accumulate in ((2, 1), (4, 1), (2, 3)):
            found = steps(samples, way, world, accumulate, current_epoch=epoch)
            for one, other in zip(whole, found, strict=True):
                assert list(one) == list(other)
                assert one == other


@CASES
def test_an_epoch_loses_nothing_and_doubles_nothing(kind: str, way: str) -> None:
    samples = made(kind)
    for epoch in (0, 1):
        seen = [name for step in steps(samples, way, 2, 1, current_epoch=epoch) for name in step]
        expected = len(samples) if way == "budget" else len(samples) // 13 * 13
        assert len(seen) == len(set(seen)) == expected
        assert set(seen) <= set(range(len(samples)))


@pytest.mark.parametrize("seed", [1, 2])
@CASES
def test_after_three_restarts_exactly_the_rest_is_seen(kind: str, way: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    whole = [step for epoch in (0, 1) for step in steps(made(kind), way, 1, 1, current_epoch=epoch)]
    per_epoch = len(whole) // 2
    stops = [0, *np.sort(draw.choice(2 * per_epoch, 3, replace=False)).tolist(), len(whole)]
    seen: list[Rows] = []
    for number, (start, stop) in enumerate(pairwise(stops)):
        samples = made(kind)  # a new process
        world, accumulate = ((1, 1), (2, 3), (4, 1), (1, 2))[number]
        while start < stop:
            epoch, step = divmod(start, per_epoch)
            rest = steps(samples, way, world, accumulate, current_epoch=epoch, step=step)
            new = list(rest)[: stop - start]
            seen += new
            start += len(new)
    assert seen == whole


@pytest.mark.parametrize("way", WAYS)
def test_workers_change_nothing(way: str) -> None:
    alone, helped = (
        [rows(batch) for batch in loader(made("mixture"), way, workers, ready=5)]
        for workers in (0, 2)
    )
    assert alone == helped


@CASES
def test_evaluation_sees_each_id_once_on_any_number_of_ranks(kind: str, way: str) -> None:
    samples = made(kind, training=False)
    whole = evaluated(samples, way, 1)
    assert sorted(whole) == list(range(len(samples)))
    for world in (2, 3, 7):
        assert evaluated(samples, way, world) == whole


def evaluated(samples: Samples, way: str, world: int) -> Rows:
    """What all ranks see in an evaluation; a batch that only fills a rank's time asks for nothing."""
    found: list[Rows] = []
    ranks = [
        EvaluationLoader(samples, batch_size=13, trainer=trainer(world, rank), **WAYS[way])
        for rank in range(world)
    ]
    assert len({len(rank) for rank in ranks}) == 1
    for rank in ranks:
        batches = list(rank)
        assert len(batches) == len(rank)
        found += [rows(b) for b in batches if int(b["num_targets"]["labels"])]
    assert sum(map(len, found)) == len(samples)
    return {name: row for rows in found for name, row in rows.items()}


def test_few_samples_are_shared_out_to_all_ranks() -> None:
    samples = made("documents", training=False)
    few = EvaluationLoader(samples, batch_size=997, batch_tokens=1 << 20, trainer=trainer(7, 6))
    assert len(few) == 1
    assert len(next(iter(few))["sample_ids"]) in (25, 26)


def test_predictions_keep_the_order_of_the_samples() -> None:
    samples = made("documents", training=False)
    for way in WAYS:
        run = trainer(predicting=True)
        batches = EvaluationLoader(samples, batch_size=13, trainer=run, **WAYS[way])
        ids = torch.cat([batch["sample_ids"] for batch in batches])
        assert torch.equal(ids, torch.arange(len(samples)))


def test_evaluation_by_length_begins_with_the_longest() -> None:
    samples = made("documents", training=False)
    widths = [
        batch["input_ids"].shape[1]
        for batch in EvaluationLoader(samples, batch_size=13, group_by_length=True)
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[-1]
