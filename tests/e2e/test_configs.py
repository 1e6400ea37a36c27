"""Every shipped config: it trains, leaves its record, repeats, and its checkpoint is data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.e2e.harness import (
    CONFIGS,
    ROOT,
    TINY,
    Done,
    bits,
    events,
    here,
    python,
    run_folder,
    same_bits,
    scalars,
)

NEEDS: dict[str, list[str]] = {"TextFiles": ["--data.train", str(ROOT / "README.md")]}
"""What data of this name needs beside its config."""

LOSS_OF_WORDS = {
    "MaskedLM": "val/loss",
    "CausalLM": "val/loss",
    "BertPretraining": "val/masked_lm_loss",
}
"""The loss that the perplexity belongs to, where a task has one."""

STEPS = """
    --trainer.max_steps 8 --trainer.val_check_interval 4 --model.schedule constant --model.schedule.warmup_steps 0
""".split()
LR = {"nsp": 1e-4}
"""The rate of a config whose weights start larger, and which therefore wants smaller steps."""
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
Fits = Callable[[Path], tuple[Done, Path]]


def words(config: Path, cache_dir: Path) -> list[str]:
    """How a config is tried: small, and with all that it needs."""
    text = config.read_text()
    needed = [word for name, more in NEEDS.items() if f"name: {name}" in text for word in more]
    given = ["fit", "--config", str(config), "--data.cache_dir", str(cache_dir), *needed, *TINY]
    return [*given, *STEPS, "--model.optimizer.lr", str(rate(config))]


def rate(config: Path) -> float:
    return LR.get(config.stem, 3e-3)


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Fits:
    """Eight steps of a config, and the folder of the run."""
    cwd = tmp_path_factory.mktemp("configs")

    @cache
    def fit(config: Path) -> tuple[Done, Path]:
        done = here(*words(config, cache_dir), cwd=cwd)
        return done, run_folder(done, cwd)

    return fit


@every_config
def test_it_learns_and_says_what(fits: Fits, config: Path) -> None:
    done, run = fits(config)
    assert run.parent.name == config.stem
    losses = scalars(run, "train/loss")
    assert len(losses) == 8
    before, after, *_ = scalars(run, "val/loss")
    assert after < before + 0.01
    first, *_, learnt, where, how = done.out.splitlines()
    assert first == f"run: {run.relative_to(run.parents[2])}"
    assert learnt.startswith("learnt in 8 steps: val/")
    assert "(beside " in learnt
    checkpoint = run / "checkpoints" / "best.ckpt"
    assert where == f"checkpoint: {checkpoint.relative_to(run.parents[2])}"
    assert checkpoint.is_file()
    assert how.startswith("look: tensorboard --logdir ")
    assert "   use: lightformer " in how
    assert sorted(p.name for p in checkpoint.parent.iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "tokenizer.json",
    ]


@every_config
def test_its_config_yaml_repeats_it(fits: Fits, config: Path, tmp_path: Path) -> None:
    _, run = fits(config)
    again = run_folder(here("fit", "--config", run / "config.yaml", cwd=tmp_path), tmp_path)
    one, two = (bits(r / "checkpoints" / "last.ckpt") for r in (run, again))
    assert same_bits(one, two)
    assert (again / "config.yaml").read_text() == (run / "config.yaml").read_text()


@every_config
def test_it_is_recorded_for_tensorboard(fits: Fits, config: Path) -> None:
    _, run = fits(config)
    tags = events(run).Tags()
    wanted = {"train/loss", "val/loss", "train/lr", "train/grad_norm", "train/tokens_per_second"}
    assert wanted <= set(tags["scalars"])
    assert any("accuracy" in name for name in tags["scalars"])
    text = {name.removesuffix("/text_summary") for name in tags["tensors"]}
    assert {"predictions", "config"} <= text
    assert scalars(run, "train/lr") == [pytest.approx(rate(config))] * 8
    if loss := LOSS_OF_WORDS.get(
        torch.load(run / "checkpoints" / "best.ckpt")["lightformer"]["task"]
    ):
        perplexities = [math.exp(value) for value in scalars(run, loss)]
        assert scalars(run, "val/perplexity") == pytest.approx(perplexities, rel=1e-3)


@every_config
def test_its_hparams_have_the_final_metric(fits: Fits, config: Path) -> None:
    _, run = fits(config)
    found = events(run)
    session = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"backbone.hidden_size" in session
    assert b"_instantiator" not in session
    final = [e.value for e in found.Scalars("val/loss")][-1]
    assert final == pytest.approx(scalars(run, "val/loss")[1])
    assert "val/loss" in str(found.summary_metadata["_hparams_/experiment"].plugin_data.content)
    assert "hp_metric" not in found.Tags()["scalars"]


def test_checkpoints_are_data(fits: Fits, tmp_path: Path) -> None:
    paths = [fits(config)[1] / "checkpoints" / "best.ckpt" for config in CONFIGS]
    code = """
import sys, torch

def plain(value, place=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            plain(key, place), plain(inner, f"{place}.{key}")
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            plain(inner, place)
    else:
        assert value is None or type(value) in (str, int, float, bool, torch.Tensor), (place, type(value))

for path in sys.argv[1:]:
    read = torch.load(path, weights_only=True)
    plain(read)
    print(read["lightformer"]["task"])
assert not {"lightformer", "lightning"} & set(sys.modules)
"""
    done = python(code, *paths, cwd=tmp_path)
    assert done.code == 0, done.err
    tasks = [
        re.search(r"^model:\n  name: (\w+)", config.read_text(), re.MULTILINE)[1]
        for config in CONFIGS
    ]
    assert done.out.split() == tasks


@every_config
def test_bfloat16(fits: Fits, config: Path, cache_dir: Path, tmp_path: Path) -> None:
    short = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]
    done = here(
        *words(config, cache_dir), *short, "--trainer.precision", "bf16-mixed", cwd=tmp_path
    )
    run = run_folder(done, tmp_path)
    full = scalars(fits(config)[1], "train/loss")[:2]
    assert scalars(run, "train/loss") == pytest.approx(full, rel=0.02)
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_accumulated_batches_give_the_same_losses(
    fits: Fits, cache_dir: Path, tmp_path: Path
) -> None:
    config = ROOT / "configs" / "mlm.yaml"
    done = here(*words(config, cache_dir), "--trainer.accumulate_grad_batches", "2", cwd=tmp_path)
    run = run_folder(done, tmp_path)
    assert scalars(run, "train/loss") == pytest.approx(
        scalars(fits(config)[1], "train/loss"), abs=1e-4
    )
