from __future__ import annotations

from typing import Any

import pytest
import torch
from corpora import make_corpus
from runs import trainer
from torch import Tensor

from lightformer import examples, masking
from lightformer.data.loader import EvaluationLoader, StepLoader
from lightformer.data.samples import Samples
from lightformer.errors import ConfigError, DataError
from lightformer.vocabulary import Vocabulary


@pytest.fixture
def samples(vocabulary: Vocabulary) -> Samples:
    """71 rows with masks, of which some are short."""
    part = examples.sentence_pairs(seq_len=31, short_share=0.5)
    corpus = make_corpus([[7, 5, 11, 3]] * 43 + [[9, 8]] * 53)
    return Samples(part(corpus, vocabulary, 3, True), masking.token()(vocabulary, 3))


def loader(samples: Samples, **options: Any) -> StepLoader:
    own = ("num_workers", "batch_tokens")
    run = {key: options.pop(key) for key in list(options) if key not in own}
    return StepLoader(samples, batch_size=12, seed=5, trainer=trainer(**run), **options)


def rows(batches: list[dict[str, Any]]) -> list[tuple[int, ...]]:
    """The rows of batches, whatever the padding of each batch."""
    found = []
    for batch in batches:
        keys = ("input_ids", "labels")
        mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"], dtype=torch.bool))
        for row in range(len(mask)):
            found.append(tuple(torch.cat([batch[k][row][mask[row]] for k in keys]).tolist()))
    return found


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) if isinstance(value, Tensor) else value == second[key]
        for key, value in first.items()
    )


def test_an_epoch_visits_every_sample_once_but_for_the_last_part(samples: Samples) -> None:
    batches = list(loader(samples))
    assert len(batches) == len(loader(samples)) == len(samples) // 12
    assert all(len(batch["input_ids"]) == 12 for batch in batches)
    assert len(set(rows(batches))) == len(rows(batches)) == len(samples) // 12 * 12


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(samples: Samples, workers: int) -> None:
    alone, helped = list(loader(samples)), list(loader(samples, num_workers=workers))
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (3, 1), (1, 4), (2, 3), (4, 3), (1, 12)])
def test_ranks_and_micro_batches_only_divide_a_batch(
    samples: Samples, world: int, accumulate: int
) -> None:
    whole = list(loader(samples, current_epoch=3))
    ranks = [
        list(loader(samples, world=world, rank=rank, accumulate=accumulate, current_epoch=3))
        for rank in range(world)
    ]
    assert {len(batches) for batches in ranks} == {len(whole) * accumulate}
    for step, batch in enumerate(whole):
        parts = [rank[step * accumulate : (step + 1) * accumulate] for rank in ranks]
        flat = [part for micro in zip(*parts, strict=True) for part in micro]
        assert rows(flat) == rows([batch])
        assert {len(part["input_ids"]) for part in flat} == {12 // world // accumulate}
        for key, count in batch["num_targets"].items():
            for part in parts:
                counts = {int(micro["num_targets"][key]) for micro in part}
                assert counts == {int(sum((m[key] != -100).sum() for m in part))}
            assert sum(int(part[0]["num_targets"][key]) for part in parts) == int(count)


def test_targets_are_counted_for_each_key(samples: Samples) -> None:
    batch = next(iter(loader(samples)))
    assert set(batch["num_targets"]) == {"labels", "next_sentence_labels"}
    assert int(batch["num_targets"]["next_sentence_labels"]) == 12
    assert int(batch["num_targets"]["labels"]) == int((batch["labels"] != -100).sum()) > 12
    assert batch["num_targets"]["labels"].shape == ()
    assert batch["num_targets"]["labels"].dtype == torch.int64


@pytest.mark.parametrize("ready", [0, 1, 7, 19, 20])
def test_it_starts_where_the_trainer_stands_when_the_first_batch_is_fetched(
    samples: Samples, ready: int
) -> None:
    whole = list(loader(samples, accumulate=4, current_epoch=2))
    late = loader(samples, accumulate=4)
    batches = iter(late)
    late.trainer.current_epoch = 2
    late.trainer.fit_loop.epoch_loop.batch_progress.current.ready = ready
    rest = list(batches)
    assert rows(rest) == rows(whole[ready:])
    for number, batch in enumerate(rest, start=ready):
        step = [b for n, b in enumerate(rest, start=ready) if n // 4 == number // 4]
        count = sum(int((b["labels"] != -100).sum()) for b in step)
        assert int(batch["num_targets"]["labels"]) == count


def test_a_limit_of_the_trainer_ends_the_last_step(samples: Samples) -> None:
    limited = list(loader(samples, accumulate=4, num_training_batches=6))
    assert len(limited) == 6
    last = sum(int((batch["labels"] != -100).sum()) for batch in limited[4:])
    assert [int(batch["num_targets"]["labels"]) for batch in limited[4:]] == [last, last]


def test_epochs_and_seeds_have_their_own_order(samples: Samples) -> None:
    firsts = [next(iter(loader(samples, current_epoch=epoch)))["input_ids"] for epoch in (0, 1)]
    other = StepLoader(samples, batch_size=12, seed=6)
    assert not set(rows([{"input_ids": firsts[0], "labels": firsts[0]}])) & set(
        rows([{"input_ids": firsts[1], "labels": firsts[1]}])
    )
    first, another = (next(iter(made))["sample_ids"] for made in (loader(samples), other))
    assert not torch.equal(first, another)


def test_without_a_trainer_it_is_one_rank(samples: Samples) -> None:
    bare = list(StepLoader(samples, batch_size=12, seed=5))
    assert all(same(a, b) for a, b in zip(bare, loader(samples), strict=True))


@pytest.mark.parametrize(("world", "accumulate"), [(5, 1), (1, 7), (3, 3), (11, 1)])
def test_a_batch_is_divided_unevenly_where_need_be(
    samples: Samples, world: int, accumulate: int
) -> None:
    whole = list(loader(samples))
    ranks = [
        list(loader(samples, world=world, rank=rank, accumulate=accumulate))
        for rank in range(world)
    ]
    for step, batch in enumerate(whole):
        parts = [rank[step * accumulate + a] for a in range(accumulate) for rank in ranks]
        assert rows(parts) == rows([batch])
        sizes = [len(part["input_ids"]) for part in parts]
        assert min(sizes) > 0
        assert max(sizes) - min(sizes) <= 1
        counts = [rank[step * accumulate]["num_targets"]["labels"] for rank in ranks]
        assert sum(map(int, counts)) == int(batch["num_targets"]["labels"])


def test_a_batch_without_a_sample_for_each_is_refused(samples: Samples) -> None:
    with pytest.raises(ConfigError) as raised:
        loader(samples, world=5, accumulate=3)
    assert str(raised.value) == (
        "A batch must have a sample for each device in each of the accumulate_grad_batches, but "
        "batch_size 12 makes batches of 12, for 5 x 3; raise batch_size."
    )
    with pytest.raises(ConfigError) as raised:
        loader(samples, world=5, accumulate=3, batch_tokens=97)
    assert str(raised.value) == (
        "A batch must have a sample for each device in each of the accumulate_grad_batches, but "
        "batch_tokens 97 makes batches of 3, for 5 x 3; raise batch_tokens."
    )


def test_too_little_data_is_refused(samples: Samples) -> None:
    with pytest.raises(DataError) as raised:
        StepLoader(samples, batch_size=997, seed=5)
    assert str(raised.value) == (
        f"The training data must fill one batch, but it makes {len(samples)} samples and "
        "batch_size is 997; lower batch_size or examples.seq_len, or give more text."
    )


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("batch_size", [5, 71, 997])
def test_evaluation_sees_every_sample_once_on_any_number_of_ranks(
    samples: Samples, world: int, batch_size: int
) -> None:
    whole = list(EvaluationLoader(samples, batch_size=batch_size))
    ranks = [
        EvaluationLoader(samples, batch_size=batch_size, trainer=trainer(world, rank))
        for rank in range(world)
    ]
    seen = [list(rank) for rank in ranks]
    assert [len(batches) for batches in seen] == [len(rank) for rank in ranks]
    assert (
        len({len(batches) for batches in seen}) == 1
    )  # a divided model needs all ranks at each step
    together = [seen[i % world][i // world] for i in range(sum(map(len, seen)))]
    idle = [batch for batch in together if not any(int(n) for n in batch["num_targets"].values())]
    asked = [batch for batch in together if all(batch is not other for other in idle)]
    assert rows(asked) == rows(whole)
    assert len(rows(whole)) == len(samples)
    assert min(map(len, seen)) > 0


class Killer(Samples):
    def __getitem__(self, visit: Any) -> Any:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_named(samples: Samples) -> None:
    with pytest.raises(DataError) as raised:
        list(StepLoader(Killer(samples.examples), batch_size=12, seed=5, num_workers=1))
    assert str(raised.value).startswith(
        "A process that makes batches was killed (DataLoader worker"
    )
    assert str(raised.value).endswith(
        "mostly there is too little memory, so lower batch_size or data.num_workers, which is 1."
    )
