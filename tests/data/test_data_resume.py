"""Real Lightning runs: what is killed and resumed sees exactly the rest."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from lightformer import examples, masking
from lightformer.data import TextFiles, TokenizerConfig
from lightformer.errors import CheckpointError

Seen = list[tuple[int, int, int]]  # epoch, optimizer step, digest of the micro-batch


class Recorder(pl.LightningModule):
    """Notes what it sees, and stops the hard way."""

    def __init__(self, die_at: int = -1, die_in_validation: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: Seen = []
        self.counts: list[int] = []
        self.die_at = die_at
        self.die_in_validation = die_in_validation
        self.visits = 0

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        if self.trainer.global_step == self.die_at:
            raise Killed
        self.seen.append((self.current_epoch, self.trainer.global_step, _digest(batch)))
        self.counts.append(sum(int(n) for n in batch["num_targets"].values()))
        return self.layer(torch.ones(1, 1)).sum()

    def validation_step(self, _: dict[str, Any], __: int) -> None:
        self.log("x", float(self.trainer.global_step))

    def on_validation_end(self) -> None:
        self.visits += not self.trainer.sanity_checking
        if self.die_in_validation and self.visits == 2:
            raise Killed

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Killed(Exception):
    """Stands for a kill: Lightning does not tidy up after it."""


def _digest(batch: dict[str, Any]) -> int:
    ids = batch["input_ids"]
    return hash(tuple(ids.flatten().tolist()))


def _data(path: Path, **options: Any) -> TextFiles:
    options = {
        "batch_size": 6,
        "seed": 5,
        "masking": masking.token(),
        "examples": examples.windows(seq_len=41),
        **options,
    }
    return TextFiles(
        train=str(path),
        tokenizer=TokenizerConfig("wordpiece", 61),
        cache_dir=str(path.parent / "cache"),
        **options,
    )


def _run(
    model: Recorder, data: TextFiles, folder: Path, resume: Path | None = None, **options: Any
) -> pl.Trainer:
    checkpoints = options.pop("checkpoints", {"every_n_train_steps": 4})
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 3, **options},
        callbacks=[ModelCheckpoint(folder, save_top_k=-1, filename="{step}", **checkpoints)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*not resumable.*")
        trainer.fit(model, data, ckpt_path=resume)
    return trainer


EPOCH_END = {"every_n_epochs": 1, "save_on_train_epoch_end": True}
STEPS = {"max_epochs": -1, "max_steps": 60}
BEST = {"monitor": "x", "mode": "max", "save_on_train_epoch_end": False}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("die_at", "options"),
    [
        pytest.param(11, {}, id="middle"),
        pytest.param(11, {"accumulate_grad_batches": 3}, id="middle, accumulated"),
        pytest.param(31, {"checkpoints": {"every_n_train_steps": 7}}, id="second epoch"),
        pytest.param(-2, {"checkpoints": EPOCH_END}, id="end of an epoch"),
        pytest.param(-2, {"checkpoints": {"every_n_train_steps": 997}}, id="last step of an epoch"),
        pytest.param(11, STEPS, id="steps"),
        pytest.param(-2, STEPS | {"checkpoints": EPOCH_END}, id="steps, end of an epoch"),
        pytest.param(0, {"val_check_interval": 5, "checkpoints": BEST}, id="in validation"),
        pytest.param(16, {"limit_train_batches": 7}, id="limited"),
    ],
)
def test_a_resumed_run_sees_exactly_the_rest(
    text_file: Path, tmp_path: Path, die_at: int, options: dict[str, Any], workers: int
) -> None:
    whole = Recorder()
    _run(whole, _data(text_file), tmp_path / "whole", **options)
    per_epoch = len({s for e, s, _ in whole.seen if e == 0})
    assert whole.seen[-1][0] >= 1
    if options.get("checkpoints", {}).get("every_n_train_steps") == 997:
        options = options | {"checkpoints": {"every_n_train_steps": per_epoch}}
    die_at = per_epoch + 2 if die_at == -2 else die_at
    died = Recorder(die_at or -1, die_in_validation=not die_at)
    with pytest.raises(Killed):
        _run(died, _data(text_file), tmp_path / "died", **options)
    last = max(
        (tmp_path / "died").glob("*.ckpt"), key=lambda p: int(p.stem.split("=")[1].split("-")[0])
    )
    done = torch.load(last, weights_only=True)["global_step"]
    assert 0 < done <= (die_at or 99)
    resumed = Recorder()
    _run(resumed, _data(text_file, num_workers=workers), tmp_path / "resumed", last, **options)
    kept = [row for row in died.seen if row[1] < done]
    assert kept + resumed.seen == whole.seen
    assert whole.counts[len(kept) :] == resumed.counts


@pytest.mark.parametrize(
    ("options", "name", "values"),
    [
        ({"batch_size": 12}, "batch_size", (6, 12)),
        ({"seed": 6}, "seed", (5, 6)),
        ({"batch_tokens": 499}, "batch_tokens", (None, 499)),
        ({"group_by_length": True}, "group_by_length", (False, True)),
    ],
)
def test_a_run_does_not_go_on_with_other_batches(
    text_file: Path,
    tmp_path: Path,
    options: dict[str, Any],
    name: str,
    values: tuple[Any, Any],
) -> None:
    _run(Recorder(), _data(text_file), tmp_path / "a", max_steps=4)
    with pytest.raises(CheckpointError) as raised:
        _run(
            Recorder(),
            _data(text_file, **options),
            tmp_path / "b",
            tmp_path / "a/step=4.ckpt",
        )
    assert str(raised.value) == (
        f"A run goes on only with the {name} that it began with, but the checkpoint has {values[0]} "
        f"and now it is {values[1]}; put back what changed, or start a new run."
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"validation_share": 0.6}, "training text"),
        ({"masking": masking.token(probability=0.5)}, "masking"),
        ({"examples": examples.windows(seq_len=5)}, "examples"),
    ],
)
def test_a_run_does_not_go_on_with_other_samples(
    text_file: Path, tmp_path: Path, options: dict[str, Any], name: str
) -> None:
    _run(Recorder(), _data(text_file), tmp_path / "a", max_steps=4)
    with pytest.raises(CheckpointError, match=f"A run goes on only with the {name} that it began"):
        _run(Recorder(), _data(text_file, **options), tmp_path / "b", tmp_path / "a/step=4.ckpt")


def test_a_run_does_not_go_on_with_another_text(text_file: Path, tmp_path: Path) -> None:
    _run(Recorder(), _data(text_file), tmp_path / "a", max_steps=4)
    text_file.write_text(text_file.read_text() + " Red moon.")
    with pytest.raises(CheckpointError) as raised:
        _run(Recorder(), _data(text_file), tmp_path / "b", tmp_path / "a/step=4.ckpt")
    assert str(raised.value).startswith("A run goes on only with the t")


def test_epochs_differ_in_order_and_masks(text_file: Path, tmp_path: Path) -> None:
    model = Recorder()
    _run(model, _data(text_file, masking=None), tmp_path)
    first = [digest for epoch, _, digest in model.seen if epoch == 0]
    second = [digest for epoch, _, digest in model.seen if epoch == 1]
    assert len(first) == len(second) > 5
    assert not set(first) & set(second)


@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 2)])
@pytest.mark.parametrize(
    "checkpoints",
    [
        pytest.param({"every_n_train_steps": 5}, id="middle"),
        pytest.param({"every_n_train_steps": 997}, id="last step of an epoch"),
        pytest.param(EPOCH_END, id="end of an epoch"),
        pytest.param(BEST, id="validation"),
    ],
)
def test_a_run_goes_on_with_other_micro_batches(
    text_file: Path, tmp_path: Path, checkpoints: dict[str, Any], before: int, now: int
) -> None:
    options = {"max_epochs": 2, "checkpoints": checkpoints}
    whole, first, rest = Recorder(), Recorder(), Recorder()
    calm = _run(whole, _data(text_file), tmp_path / "whole", accumulate_grad_batches=now, **options)
    if checkpoints.get("every_n_train_steps") == 997:
        steps = len({step for epoch, step, _ in whole.seen if epoch == 0})
        options = options | {"checkpoints": {"every_n_train_steps": steps}}
    _run(first, _data(text_file), tmp_path / "first", accumulate_grad_batches=before, **options)
    saved = min((tmp_path / "first").glob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    done = torch.load(saved, weights_only=True)["global_step"]
    assert 0 < done < whole.seen[-1][1]
    trainer = _run(
        rest, _data(text_file), tmp_path / "b", saved, accumulate_grad_batches=now, **options
    )
    assert rest.seen == [row for row in whole.seen if row[1] >= done]
    loops = [run.fit_loop.epoch_loop for run in (trainer, calm)]
    assert loops[0].batch_progress.total == loops[1].batch_progress.total
    assert loops[0]._batches_that_stepped == loops[1]._batches_that_stepped == trainer.global_step


def test_a_run_that_stopped_within_a_step_keeps_its_micro_batches(
    text_file: Path, tmp_path: Path
) -> None:
    options = {"limit_train_batches": 7, "checkpoints": EPOCH_END, "max_epochs": 1}
    _run(Recorder(), _data(text_file), tmp_path / "a", accumulate_grad_batches=3, **options)
    (saved,) = (tmp_path / "a").glob("*.ckpt")
    with pytest.raises(CheckpointError) as raised:
        _run(Recorder(), _data(text_file), tmp_path / "b", saved, accumulate_grad_batches=2)
    assert str(raised.value) == (
        "A run goes on only with the accumulate_grad_batches that it began with, but the checkpoint has 3 "
        "and now it is 2; put back what changed, or start a new run."
    )
