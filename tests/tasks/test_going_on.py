"""A run that goes on with other options than it began with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from lightformer import BackboneConfig, optimizer, schedule
from lightformer.errors import CheckpointError
from lightformer.tasks import CausalLM
from lightformer.vocabulary import Vocabulary

SIZES = BackboneConfig(hidden_size=20, num_layers=1, num_heads=2, max_seq_len=7)


def task(lr: float = 0.5, backbone: BackboneConfig = SIZES, **options: Any) -> CausalLM:
    chosen = options.pop("optimizer", optimizer.adamw(lr=lr, weight_decay=0.25))
    return CausalLM(
        vocabulary=Vocabulary(size=23),
        backbone=backbone,
        optimizer=chosen,
        schedule=schedule.constant(),
        **options,
    )


def fit(model: CausalLM, steps: int, ckpt_path: Path | None = None) -> Trainer:
    ids = torch.randint(23, (8, 3, 7))
    batches = DataLoader([{"input_ids": rows} for rows in ids], batch_size=None)
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, batches, ckpt_path=ckpt_path)
    return trainer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "a.ckpt"
    fit(task(), 2).save_checkpoint(path)
    return path


@pytest.mark.filterwarnings("ignore")
def test_what_the_user_asks_for_now_wins(saved: Path) -> None:
    trainer = fit(task(lr=0.125), 4, saved)
    rates = {group["lr"] for group in trainer.optimizers[0].param_groups}
    assert rates == {0.125}
    decays = [group["weight_decay"] for group in trainer.optimizers[0].param_groups]
    assert decays == [0.25, 0.0]
    other = task(optimizer=optimizer.adamw(lr=0.5, weight_decay=0.5, betas=(0.5, 0.75)))
    trainer = fit(other, 4, saved)
    groups = trainer.optimizers[0].param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert {tuple(group["betas"]) for group in groups} == {(0.5, 0.75)}


@pytest.mark.filterwarnings("ignore")
def test_unchanged_options_leave_the_state_as_it_was(saved: Path) -> None:
    trainer = fit(task(), 4, saved)
    assert {group["lr"] for group in trainer.optimizers[0].param_groups} == {0.5}


@pytest.mark.filterwarnings("ignore")
def test_another_optimizer_or_architecture_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        fit(task(optimizer=optimizer.sgd()), 4, saved)
    assert str(refused.value) == (
        "A run goes on with the optimizer that it began with, but the checkpoint has that of adamw and the config "
        "asks for sgd; start anew from its backbone with --model.init_from."
    )
    with pytest.raises(CheckpointError) as refused:
        fit(task(backbone=BackboneConfig(hidden_size=24, num_layers=1, num_heads=2)), 4, saved)
    assert str(refused.value) == (
        "The checkpoint does not fit the model: backbone.embeddings.token.weight has shape (23, 20) there, and "
        "(23, 24) here."
    )
