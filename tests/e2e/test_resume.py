"""A run that is stopped at any moment, by whatever, and goes on: it ends with the same bits."""

from __future__ import annotations

import random
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, TINY, Bits, bits, finish, here, run_folder, same_bits, start

STEPS = 70
LINE = f"""
    --model.backbone.dropout 0.1 --trainer.max_steps {STEPS} --trainer.val_check_interval 10
    --trainer.accumulate_grad_batches 2 --trainer.limit_train_batches 50 --trainer.num_sanity_val_steps 2
""".split()


def fit(cache_dir: Path) -> list[str]:
    """Masks, dropout, accumulation, validation in between, and an epoch's end in the middle."""
    config = str(ROOT / "configs" / "mlm.yaml")
    return ["fit", "--config", config, "--data.cache_dir", str(cache_dir), *TINY, *LINE]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Bits:
    cwd = tmp_path_factory.mktemp("undisturbed")
    run = run_folder(here(*fit(cache_dir), cwd=cwd), cwd)
    return bits(run / "checkpoints" / "last.ckpt")


def test_a_run_that_was_short_goes_on_in_the_middle_of_an_epoch(
    cache_dir: Path, tmp_path: Path
) -> None:
    words = [*fit(cache_dir), "--model.schedule", "constant"]
    whole = run_folder(here(*words, "--trainer.max_steps", 17, cwd=tmp_path), tmp_path)
    short = run_folder(here(*words, "--trainer.max_steps", 13, cwd=tmp_path), tmp_path)
    last = short / "checkpoints" / "last.ckpt"
    assert here(*words, "--trainer.max_steps", 17, "--ckpt_path", last, cwd=tmp_path).code == 0
    assert same_bits(bits(last), bits(whole / "checkpoints" / "last.ckpt"))


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 2), (signal.SIGKILL, 2)],
    ids=lambda value: getattr(value, "name", value),
)
def test_stopped_and_resumed_is_undisturbed(
    undisturbed: Bits, cache_dir: Path, tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    process = start(*fit(cache_dir), "--data.num_workers", workers, cwd=tmp_path)
    checkpoints = tmp_path / "runs" / "mlm" / "version_0" / "checkpoints"
    last = checkpoints / "last.ckpt"
    while process.poll() is None and not last.exists():
        time.sleep(0.02)
    time.sleep(random.uniform(0.0, 0.4))
    process.send_signal(number)
    done = finish(process)
    command = (
        f"fit --config runs/mlm/version_0/config.yaml --ckpt_path {last.relative_to(tmp_path)}"
    )
    if number == signal.SIGKILL:
        assert done.code == -number, "it was over before; make it longer"
    else:
        assert done.code == 128 + number
        said = (
            re.escape(f"stopped by {number.name} after step ")
            + r"(\d+)"
            + re.escape(f"; go on with: lightformer {command}")
        )
        assert (found := re.search(said, done.err)), done.err
        assert 0 < int(found[1]) < STEPS
        assert "Traceback" not in done.err
    assert not same_bits(bits(last), undisturbed)

    resumed = here(*shlex.split(command), cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert same_bits(bits(last), undisturbed)
    whole = [path.name for path in checkpoints.iterdir() if not path.name.endswith(".partial")]
    assert sorted(whole) == ["best.ckpt", "last.ckpt", "tokenizer.json"]
    assert [path.name for path in checkpoints.parent.parent.iterdir()] == ["version_0"]


def test_a_finished_run_has_nothing_to_do(cache_dir: Path, trained, tmp_path: Path) -> None:
    run = trained("mlm")
    last = run / "checkpoints" / "last.ckpt"
    before = bits(last)
    done = here("fit", "--config", run / "config.yaml", "--ckpt_path", last, cwd=tmp_path)
    assert done.code == 0
    assert same_bits(bits(last), before)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (
            "--data.batch_size",
            4,
            "the batch_size that it began with, but the checkpoint has 6 and now it is 4",
        ),
        (
            "--data.seed",
            7,
            "the seed that it began with, but the checkpoint has 42 and now it is 7",
        ),
    ],
)
def test_other_batches_are_refused(
    trained, tmp_path: Path, option: str, value: int, sentence: str
) -> None:
    run = trained("mlm")
    last = run / "checkpoints" / "last.ckpt"
    words = ("fit", "--config", run / "config.yaml", "--ckpt_path", last, option, value)
    done = here(*words, "--trainer.max_steps", 5, cwd=tmp_path)
    assert done.code == 4
    assert (
        done.error
        == f"error: A run goes on only with {sentence}; put back what changed, or start a new run."
    )
