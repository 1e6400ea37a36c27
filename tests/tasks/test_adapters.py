"""A model that learns by an adapter: its start, what moves, how it is kept, and how it becomes a plain one."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lightformer
from lightformer import adapter, attention, block, importing, position
from lightformer.checkpoint import read_checkpoint
from lightformer.errors import CheckpointError, ConfigError
from lightformer.exchange import export_hf
from lightformer.merging import merged
from lightformer.tasks import MaskedLM
from tests.tasks.fits import VOCABULARY, State, backbone, fit, moved, state, task

LORA = {"name": "lora", "rank": 2, "alpha": 3.0, "targets": ["*.query", "*.feedforward.output"]}
IDS = torch.arange(14).view(2, 7)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that a backbone is taken from."""
    path = tmp_path_factory.mktemp("pretrained") / "mlm.ckpt"
    torch.manual_seed(3)
    model = MaskedLM(vocabulary=VOCABULARY, backbone=backbone())
    return save(model, path)


def save(model: Any, path: Path) -> Path:
    content: dict[str, Any] = {
        "state_dict": state(model),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(content)
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def tuned(pretrained: Path) -> Path:
    """A classifier with an adapter that learnt for some steps."""
    path = pretrained.parent / "tuned.ckpt"
    fit(task(init_from=str(pretrained), adapter=LORA), 2, save=path)
    return path


def in_backbone(found: State) -> State:
    return {k: v for k, v in found.items() if k.startswith("backbone.")}


def test_it_starts_as_the_pretrained_model_to_the_bit(pretrained: Path) -> None:
    plain, model = (task(init_from=str(pretrained), adapter=a) for a in (None, LORA))
    theirs = read_checkpoint(pretrained)["state_dict"]
    assert moved(in_backbone(state(plain)), theirs) == set()
    assert moved(in_backbone(state(plain)), state(model)) == set()
    assert model.eval()(IDS).equal(plain.eval()(IDS))


def test_only_the_adapter_and_the_heads_move(pretrained: Path) -> None:
    model = task(init_from=str(pretrained), adapter=LORA)
    before = state(model)
    after = state(fit(model))
    own = {name for name in before if ".adapter." in name or not name.startswith("backbone.")}
    assert moved(after, before) == own
    assert len([name for name in own if ".adapter." in name]) == 2 * 2 * 3
    groups = model.trainer.optimizers[0].param_groups
    assert sum(len(group["params"]) for group in groups) == len(own)


@pytest.mark.parametrize("patterns", [["pooler.*", "backbone.*"], ["pooler.*", "*.blocks.0.*"]])
def test_an_adapter_learns_beside_what_is_frozen(patterns: list[str]) -> None:
    model = task(adapter=LORA, freeze=patterns)
    before = state(model)
    assert moved(state(fit(model)), before) == {
        *(
            f"backbone.blocks.{i}.{name}.adapter.{part}"
            for i in (0, 1, 2)
            for name in ("attention.query", "feedforward.output")
            for part in ("down", "up")
        ),
        "classifier.weight",
        "classifier.bias",
    }


def test_an_adapter_may_learn_alone() -> None:
    own = {n for n, p in task(adapter=LORA, freeze=["*"]).named_parameters() if p.requires_grad}
    assert len(own) == 2 * 2 * 3
    assert all(".adapter." in name for name in own)


def test_a_checkpoint_loads_as_it_was(tuned: Path) -> None:
    read = read_checkpoint(tuned)
    assert read["hyper_parameters"]["adapter"] == {**LORA, "dropout": 0.0}
    torch.manual_seed(77)
    model = lightformer.load(tuned)
    assert moved(state(model), read["state_dict"]) == set()
    assert model.hparams["adapter"]["rank"] == 2


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_merged_it_says_the_same_by_plain_names(
    tuned: Path, dtype: torch.dtype, bound: float
) -> None:
    model = lightformer.load(tuned).to(dtype)
    expected = model(IDS)
    model.merge()
    torch.testing.assert_close(model(IDS), expected, rtol=bound, atol=bound)
    plain = task()
    assert list(model.state_dict()) == list(plain.state_dict())
    assert all(p.requires_grad for p in model.parameters())
    assert (model.hparams["adapter"], model.hparams["freeze"]) == (None, None)
    again = save(model, tuned.parent / "merged.ckpt")
    assert lightformer.load(again).hparams == model.hparams
    before = state(model)
    model.merge()  # there is nothing left to merge
    assert moved(state(model), before) == set()


def test_a_merged_checkpoint_is_a_plain_one(tuned: Path, pretrained: Path) -> None:
    torch.manual_seed(1)
    number = torch.rand(1)
    torch.manual_seed(1)
    found = merged(read_checkpoint(tuned))
    assert torch.rand(1).equal(number)
    model = lightformer.load(tuned)
    model.merge()
    assert moved(dict(found["state_dict"]), state(model)) == set()
    assert list(found["state_dict"]) == list(state(model))
    read = read_checkpoint(pretrained)
    assert merged(read) is read


def test_what_starts_from_it_gets_merged_weights(tuned: Path) -> None:
    model = lightformer.load(tuned)
    model.merge()
    for options in ({}, {"adapter": LORA}):
        other = task(init_from=str(tuned), **options).eval()
        assert other(IDS).equal(model(IDS))
        assert moved(in_backbone(state(model)), state(other)) == set()


def test_transformers_get_merged_weights(tmp_path: Path) -> None:
    bert = backbone(
        head_dim=7, block=block.post_norm(), norm_embeddings=True, attention=attention.mha(),
        position=position.learned(), num_segments=2,
    )  # fmt: skip
    model = task(backbone=bert, pooling="first", adapter=LORA)
    fit(model, 2, save=tmp_path / "a.ckpt")
    export_hf(tmp_path / "a.ckpt", tmp_path / "out")
    found = lightformer.load(tmp_path / "out")
    assert found.hparams.get("adapter") is None
    expected = model.eval()(IDS)
    torch.testing.assert_close(found(IDS), expected, rtol=1e-5, atol=1e-5)
    plain = task(backbone=bert, pooling="first").eval()(IDS)
    assert (expected - plain).abs().max() > 1e-3


def test_a_block_that_layers_share_is_adapted_once() -> None:
    options: dict[str, Any] = {"backbone": backbone(num_layer_groups=1), "adapter": LORA}
    model = fit(task(**options), 3).eval()
    assert sum(".adapter." in name for name, _ in model.named_parameters()) == 2 * 2
    expected = model(IDS)
    model.merge()
    torch.testing.assert_close(model(IDS), expected, rtol=1e-5, atol=1e-5)


def test_a_copy_learns_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_imported", [])  # a copy loads the plugins of other tests anew
    model = task(adapter=LORA)
    before, other = state(model), fit(copy.deepcopy(model))
    assert moved(state(model), before) == set()
    assert moved(state(other), before) == {
        n for n, p in model.named_parameters() if p.requires_grad
    }


def test_dropout_is_for_training_alone() -> None:
    model = task(backbone=backbone(dropout=0.0), adapter={**LORA, "dropout": 0.5})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) if name.endswith(".up") else 0.0)
    assert not model.train()(IDS).equal(model(IDS))
    assert model.eval()(IDS).equal(model(IDS))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"targets": ("*.atention.query",)},
            "targets has '*.atention.query', which matches no linear map. Did you mean '*.attention.query'",
        ),
        (
            {"targets": ("blocks.0.attention.query",)},
            "targets has 'blocks.0.attention.query', which matches no linear map. Did you mean "
            "'*.blocks.0.attention.query'",
        ),
        (
            {"targets": ()},
            "targets must name linear maps to add to, but is empty; leave it out for the default, or leave the "
            "adapter out.",
        ),
        ({"rank": 1.5}, "adapter.rank must be a whole number, but is 1.5."),
        ({"rank": "8"}, "adapter.rank must be a whole number, but is '8'."),
        ({"targets": "*.query"}, "adapter.targets must be a list, but is '*.query'."),
        ({"rank": 0}, "rank must be above 0, but is 0."),
        ({"alpha": -1.0}, "alpha must be above 0, but is -1.0."),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, but is 1.0."),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)):
        task(adapter=adapter.lora(**options))


def test_a_run_goes_on_with_its_adapter(tuned: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        fit(task(adapter={**LORA, "rank": 3}), 5, start=tuned)
    assert str(refused.value).startswith(
        "A run goes on with the parameters that it began with, but its adapter was {'name': 'lora', 'rank': 2, "
    )
