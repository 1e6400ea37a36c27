"""Runs that cannot go on: the sentence, the exit code, and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lightformer.tasks import MaskedLM
from lightformer.training.metrics import TrainingMetrics
from tests.e2e.harness import ROOT, TINY, here


@pytest.fixture
def words(cache_dir: Path) -> list[str]:
    config = str(ROOT / "configs" / "mlm.yaml")
    return ["fit", "--config", config, "--data.cache_dir", str(cache_dir), *TINY]


def broken_from(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the loss of all training steps from this one on something that is not a number."""
    whole = MaskedLM.training_step

    def training_step(self: MaskedLM, batch: Any, batch_idx: int) -> Any:
        loss = whole(self, batch, batch_idx)
        return loss * float("nan") if self.trainer.global_step >= step else loss

    monkeypatch.setattr(MaskedLM, "training_step", training_step)


def test_a_loss_that_is_not_finite_stops_the_run(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_from(5, monkeypatch)
    done = here(*words, "--trainer.max_steps", 9, "--trainer.val_check_interval", 2, cwd=tmp_path)
    assert done.code == 6, done.err
    assert done.error.startswith("error: The gradient is not finite at step 5, first in ")
    assert done.error.endswith(
        "; the weights and the checkpoints are as before. Lower --model.optimizer.lr, or give it a longer "
        "warm-up (--model.schedule.warmup_steps)."
    )
    assert "Traceback" not in done.err
    for path in tmp_path.rglob("*.ckpt"):
        checkpoint = torch.load(path, weights_only=True)
        assert checkpoint["global_step"] == 4
        assert all(weight.isfinite().all() for weight in checkpoint["state_dict"].values())
    assert len(list(tmp_path.rglob("*.ckpt"))) == 2


def test_weights_that_are_not_finite_are_not_saved(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that are too large make infinite weights of gradients that are finite."""

    def overflow(self: Any, trainer: Any, task: MaskedLM, *_: Any) -> None:
        if trainer.global_step == 4:
            task.head.bias.data[3] = float("inf")

    monkeypatch.setattr(TrainingMetrics, "on_train_batch_end", overflow)
    done = here(*words, "--trainer.max_steps", 9, "--trainer.val_check_interval", 2, cwd=tmp_path)
    assert done.code == 6, done.err
    assert done.error == (
        "error: The weights are not finite, first in head.bias, and are not saved; the checkpoints are as before. "
        "Lower --model.optimizer.lr, or give it a longer warm-up (--model.schedule.warmup_steps)."
    )
    found = [
        torch.load(path, weights_only=True)["global_step"] for path in tmp_path.rglob("*.ckpt")
    ]
    assert found == [2, 2]


def test_a_folder_that_cannot_be_written_is_said_before_the_first_step(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    done = here(
        *words, "--trainer.default_root_dir", "taken", "--trainer.max_steps", 2, cwd=tmp_path
    )
    assert done.code == 5, done.err
    assert done.error == (
        "error: Checkpoints go to taken/mlm/version_0/checkpoints, but that cannot be written (Not a directory); "
        "choose another folder with --trainer.default_root_dir."
    )
    assert "Training:" not in done.out + done.err
    assert (tmp_path / "taken").read_text() == "a file"


def test_predictions_that_cannot_be_written(trained, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    checkpoint = trained("classification") / "checkpoints" / "best.ckpt"
    done = here("predict", "--ckpt_path", checkpoint, "--output", "taken/rows.jsonl", cwd=tmp_path)
    assert done.code == 5, done.err
    assert done.error.startswith("error: taken/rows.jsonl cannot be written: ")


def test_data_smaller_than_a_batch(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("A short text. It has two sentences, and no more.\n")
    data = [
        "--model",
        "CausalLM",
        "--data",
        "TextFiles",
        "--data.train",
        "short.txt",
        "--data.batch_size",
        64,
    ]
    done = here("fit", *data, "--trainer.max_steps", 2, cwd=tmp_path)
    assert done.code == 3, done.err
    assert "batch" in done.error
    assert "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = here(
        "fit",
        "--model",
        "CausalLM",
        "--data",
        "TextFiles",
        "--data.train",
        "gone.txt",
        cwd=tmp_path,
    )
    assert done.code == 3
    assert "gone.txt" in done.error
    assert done.err.count("Traceback") == 0
