"""What is frozen stays, bit for bit; and each layer has the learning rate that is its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lightformer import optimizer, schedule
from lightformer.errors import CheckpointError, ConfigError
from lightformer.optimizer import OptimizerSpec
from lightformer.tasks import CausalLM, Task
from lightformer.training.metrics import TrainingMetrics
from tests.tasks import fits
from tests.tasks.fits import PARTS, VOCABULARY, backbone, fit, moved, state, task
from tests.variants import variants

HEAD = {"pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"}


def matched(names: Any, patterns: list[str]) -> set[str]:
    return {name for name in names if any(fnmatch(name, pattern) for pattern in patterns)}


def learning(model: Task) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


# --- freeze


@pytest.mark.parametrize("spec", variants("optimizer"))
@pytest.mark.parametrize("patterns", [["backbone.*"], ["*.norm.*", "*.blocks.0.*", "*.bias"]])
def test_only_what_is_not_frozen_moves(spec: OptimizerSpec, patterns: list[str]) -> None:
    model = task(freeze=patterns, optimizer=spec)
    before = state(model)
    after = state(fit(model))
    assert moved(after, before) == set(before) - matched(before, patterns)


def test_what_is_frozen_is_not_in_the_optimizer() -> None:
    model = fit(task(freeze=["backbone.*"]))
    groups = model.trainer.optimizers[0].param_groups
    held = {id(p) for group in groups for p in group["params"]}
    assert held == {id(p) for n, p in model.named_parameters() if n in HEAD}


def test_a_head_alone_sends_nothing_back() -> None:
    model = task(freeze=["backbone.*"]).train()
    ids = torch.randint(19, (2, 7))
    assert not model.hidden_states({"input_ids": ids}).requires_grad
    one, two = (model.hidden_states({"input_ids": ids}) for _ in range(2))
    assert not one.equal(two)  # dropout goes on
    assert task().train().hidden_states({"input_ids": ids}).requires_grad


@pytest.mark.parametrize("options", [*PARTS, {"layer_lr_decay": 0.7}], ids=lambda o: next(iter(o)))
def test_a_resumed_run_ends_with_the_same_bits(options: dict[str, Any], tmp_path: Path) -> None:
    whole = task(**options)
    before = state(whole)
    file = tmp_path / "a.ckpt"
    expected = state(fit(whole, 5, save=file))
    found = fit(task(**options), 5, start=file)
    assert moved(state(found), expected) == set()
    assert moved(expected, before) == learning(whole)


def test_two_ranks_move_the_same(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    more = {"PYTHONPATH": str(Path(__file__).parents[2]), "NODE_RANK": "0"}
    ranks = [
        subprocess.Popen(
            [sys.executable, fits.__file__, str(tmp_path / "found.pt")],
            env={**os.environ, **address, **more, "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for options, (names, keys) in zip(PARTS, found, strict=True):
        assert set(names) == learning(task(**options))
        assert set(keys) > set(names)


@pytest.mark.parametrize(
    ("patterns", "sentence"),
    [
        (
            ["backbone.embedings.*"],
            "freeze has 'backbone.embedings.*', which matches no parameter. Did you mean 'backbone.embeddings.*' or ",
        ),
        (
            ["classifier.*", "*.atention.query.weight"],
            "freeze has '*.atention.query.weight', which matches no parameter. Did you mean "
            "'*.attention.query.weight' or ",
        ),
        (
            ["backbone.blocks.4.*"],
            "freeze has 'backbone.blocks.4.*', which matches no parameter. Did you mean 'backbone.blocks.2.*' or ",
        ),
        (["zzz"], "freeze has 'zzz', which matches no parameter. There are: backbone.embeddings."),
        (
            ["backbone.*", "*er.*"],
            "freeze must leave something to learn, but all 56 parameters would stay as they are; leave some out of "
            "its patterns, such as those of a head.",
        ),
    ],
)
def test_patterns_that_cannot_be_meant(patterns: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)):
        task(freeze=patterns)


def test_a_run_goes_on_with_the_parameters_that_it_began_with(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    fit(task(freeze=["backbone.*"]), 2, save=file)
    with pytest.raises(CheckpointError) as refused:
        fit(task(), 4, start=file)
    assert str(refused.value) == (
        "A run goes on with the parameters that it began with, but its freeze was ['backbone.*'] and the config asks "
        "for None; start anew from its weights with --model.init_from."
    )


# --- a learning rate for each layer


def shares(model: Task) -> dict[str, float]:
    """The learning rate of each parameter of a model that has been trained, as a share of that of the heads."""
    groups = model.trainer.optimizers[0].param_groups
    rate = {id(p): group["initial_lr"] for group in groups for p in group["params"]}
    return {n: rate[id(p)] / max(rate.values()) for n, p in model.named_parameters()}


def test_steps_are_those_of_adamw_with_groups_made_by_hand() -> None:
    """Two steps with dropout at 0, a schedule and weight decay; to the bit."""
    decay, lr = 0.6, 0.02
    options = {
        "backbone": backbone(dropout=0.0),
        "optimizer": optimizer.adamw(lr=lr, weight_decay=0.3),
        "schedule": schedule.constant(),
    }
    found, model = fit(task(layer_lr_decay=decay, **options), 2), task(**options)
    depths = {
        "embeddings": ["backbone.embeddings.*", "backbone.positions.*"],
        "block 0": ["backbone.blocks.0.*"],
        "block 1": ["backbone.blocks.1.*"],
        "block 2": ["backbone.blocks.2.*", "backbone.norm.*"],
        "heads": ["pooler.*", "classifier.*"],
    }
    groups = []
    for height, patterns in zip((4, 3, 2, 1, 0), depths.values(), strict=True):
        for is_matrix, weight_decay in ((True, 0.3), (False, 0.0)):
            own = matched(state(model), patterns)
            chosen = [
                p for n, p in model.named_parameters() if n in own and (p.ndim >= 2) == is_matrix
            ]
            groups.append(
                {"params": chosen, "lr": lr * decay**height, "weight_decay": weight_decay}
            )
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    by_hand = torch.optim.AdamW([g for g in groups if g["params"]], fused=True)
    ids = torch.randint(19, (5, 7), generator=torch.Generator().manual_seed(2))
    for _ in range(2):
        by_hand.zero_grad()
        F.cross_entropy(model(ids), torch.tensor([0, 1, 2, 1, 0]), reduction="sum").div(
            5
        ).backward()
        by_hand.step()
    assert moved(state(found), state(model)) == set()
    assert moved(state(fit(task(**options), 2)), state(model)) != set()  # without the option


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_every_optimizer_keeps_its_groups_and_gets_the_shares(spec: OptimizerSpec) -> None:
    model, plain = (fit(task(layer_lr_decay=d, optimizer=spec), 1) for d in (0.5, 1.0))
    kept = {"params", "lr", "initial_lr", "lr_share"}
    described = []
    for each in (model, plain):
        names = {id(p): name for name, p in each.named_parameters()}
        described.append(
            {
                names[id(p)]: {k: v for k, v in group.items() if k not in kept}
                for group in each.trainer.optimizers[0].param_groups
                for p in group["params"]
            }
        )
    assert described[0] == described[1]
    assert set(described[0]) == set(dict(model.named_parameters()))
    assert set(shares(model).values()) == {1.0, 0.5, 0.25, 0.125, 0.0625}


def test_layers_of_a_group_have_one_rate() -> None:
    found = shares(fit(task(layer_lr_decay=0.5, backbone=backbone(num_layer_groups=1)), 1))
    assert {v for n, v in found.items() if ".blocks." in n} == {0.5}
    assert {v for n, v in found.items() if ".embeddings." in n} == {0.25}


class Rates(TrainingMetrics):
    """Keeps what would be logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.seen.append(float(trainer.callback_metrics["train/lr"]))


def test_the_rate_that_is_logged_is_that_of_the_heads() -> None:
    found = []
    for decay in (1.0, 0.3):
        rates = Rates()
        fit(task(layer_lr_decay=decay), 5, callbacks=[rates], log_every_n_steps=1)
        found.append(rates.seen)
    assert found[0] == found[1]
    assert found[0] == pytest.approx([0.005, 0.01, 0.0075, 0.005, 0.0025])


def test_a_new_rate_is_shared_out_when_a_run_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    options = {"layer_lr_decay": 0.5, "schedule": schedule.constant()}
    fit(task(**options), 2, save=file)
    model = fit(task(**options, optimizer=optimizer.adamw(lr=0.5, weight_decay=0.3)), 3, start=file)
    rates = {group["lr"] for group in model.trainer.optimizers[0].param_groups}
    assert rates == {0.5, 0.25, 0.125, 0.0625, 0.03125}


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5, float("nan")])
def test_a_rate_that_cannot_be_meant(decay: float) -> None:
    with pytest.raises(ConfigError) as refused:
        task(layer_lr_decay=decay)
    assert str(refused.value) == (
        f"layer_lr_decay must be above 0 and at most 1, which is one rate for all, but is {decay}."
    )


def test_a_tied_head_is_frozen_with_the_embedding() -> None:
    """And a model whose head has nothing of its own has nothing left to learn."""
    with pytest.raises(ConfigError, match=r"^freeze must leave something to learn, but all \d+ "):
        CausalLM(vocabulary=VOCABULARY, backbone=backbone(), freeze=["backbone.*"])
