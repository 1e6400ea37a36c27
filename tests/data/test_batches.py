"""What the options of a data module make of the batches, up to the training on them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from corpora import make_corpus

from lightformer import BackboneConfig, examples, masking
from lightformer.data import TextFiles, TokenizerConfig
from lightformer.data.mixture import Mixture
from lightformer.data.prepared import Split
from lightformer.errors import ConfigError
from lightformer.examples import Corpus, ExamplesSpec
from lightformer.tasks import CausalLM, MaskedLM, Task


class Mixed(TextFiles):
    """The text, and numbers that count up."""

    weights = (1.0, 2.0)

    def corpora(self, split: Split) -> list[tuple[Corpus, float]]:
        numbers = make_corpus([[7, 5]] * 31, separator=3, first=5)
        numbers = replace(numbers, tokens=numbers.tokens % 61)
        texts = [text for text, _ in super().corpora(split)]
        return list(zip([*texts, numbers], self.weights, strict=True)) if texts else []


def data(path: Path, kind: type[TextFiles] = TextFiles, **options: Any) -> TextFiles:
    options = {"examples": examples.documents(seq_len=41), "batch_size": 6, **options}
    return kind(
        train=str(path),
        document_separator="\n\n",
        tokenizer=TokenizerConfig("wordpiece", 61),
        cache_dir=str(path.parent / "cache"),
        seed=5,
        **options,
    )


def fit(task: Task, module: TextFiles, **options: Any) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_steps": 2, **options},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(task, module)
    return trainer


def small(task: type[Task], module: TextFiles) -> Task:
    config = BackboneConfig(hidden_size=12, num_heads=2, num_layers=1, max_seq_len=41)
    return task(vocabulary=module.vocabulary, backbone=config)


ROWS: dict[str, ExamplesSpec] = {
    "packed": examples.packed(seq_len=41),
    "documents": examples.documents(seq_len=41, long="split"),
}
WAYS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "grouped": {"group_by_length": True},
    "budget": {"batch_tokens": 211},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("task", [MaskedLM, CausalLM])
def test_tasks_train_on_rows_of_documents(
    text_file: Path, task: type[Task], rows: str, way: str
) -> None:
    masks = masking.token() if task is MaskedLM else None
    module = data(text_file, examples=ROWS[rows], masking=masks, **WAYS[way])
    trainer = fit(small(task, module), module, accumulate_grad_batches=2, limit_train_batches=4)
    assert trainer.global_step == 2
    for name in ("train/loss", "val/loss"):
        assert 1 < float(trainer.callback_metrics[name]) < 6


def test_documents_that_share_a_row_do_not_see_one_another(text_file: Path) -> None:
    module = data(text_file, examples=examples.packed(seq_len=41))
    task = small(CausalLM, module).double().eval()
    samples = module.samples("train")
    assert samples is not None
    batch = samples[0, np.arange(len(samples))]
    with torch.no_grad():
        packed = task.hidden_states(batch)
        mask = batch["attention_mask"]
        compared = 0
        for row in range(len(mask)):
            for number in range(int(batch["document_ids"][row].max()) + 1):
                own = mask[row] & (batch["document_ids"][row] == number)
                alone = task.hidden_states({"input_ids": batch["input_ids"][row][own][None]})[0]
                torch.testing.assert_close(packed[row][own], alone)
                compared += number > 0
    assert compared > 5


def test_parts_are_mixed_by_their_weights(text_file: Path) -> None:
    module = data(text_file, Mixed)
    samples, held_out = module.samples("train"), module.samples("validation")
    assert samples is not None
    assert held_out is not None
    assert isinstance(samples.examples, Mixture)
    count = len(samples.examples.parts[0])
    assert len(samples) == count + 2 * 31
    assert len(held_out) == len(held_out.examples.parts[0]) + 31  # type: ignore[union-attr]
    assert samples.examples.parts[0].seed != samples.examples.parts[1].seed
    names = module.baselines()["val/loss"]
    assert set(names) == {"unigram", "bigram"}


def test_one_part_of_weight_1_is_no_mixture(text_file: Path) -> None:
    samples = data(text_file).samples("train")
    assert samples is not None
    assert not isinstance(samples.examples, Mixture)
    assert samples.examples.seed == 5


def test_one_part_may_be_seen_twice_in_an_epoch(text_file: Path) -> None:
    class Twice(TextFiles):
        def corpora(self, split: Split) -> list[tuple[Corpus, float]]:
            return [(corpus, 2.0) for corpus, _ in super().corpora(split)]

    once, twice = data(text_file).samples("train"), data(text_file, Twice).samples("train")
    assert once is not None
    assert twice is not None
    assert len(twice) == 2 * len(once)


def test_a_budget_with_weights_that_are_no_whole_numbers_is_refused(text_file: Path) -> None:
    class Fractions(Mixed):
        weights = (0.5, 1.0)

    rows = examples.documents(seq_len=499)
    module = data(text_file, Fractions, examples=rows, batch_tokens=499)
    with pytest.raises(ConfigError) as raised:
        module.train_dataloader()
    assert str(raised.value).startswith("batch_tokens needs samples that have the same lengths")


@pytest.mark.parametrize("way", ["grouped", "budget"])
def test_validation_is_batched_as_training_unless_it_is_said_otherwise(
    text_file: Path, way: str
) -> None:
    loader = data(text_file, **WAYS[way]).val_dataloader()
    sizes = [tuple(batch["input_ids"].shape) for batch in loader]
    assert [width for _, width in sizes] == sorted((w for _, w in sizes), reverse=True)
    if way == "budget":
        assert max(rows * width for rows, width in sizes) <= 211
    fixed = data(text_file, eval_batch_size=2, **WAYS[way]).val_dataloader()
    assert {len(batch["input_ids"]) for batch in fixed} <= {1, 2}


def test_a_token_budget_of_nothing_is_refused(text_file: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        data(text_file, batch_tokens=0)
    assert str(raised.value) == "batch_tokens must be at least 1, not 0."
