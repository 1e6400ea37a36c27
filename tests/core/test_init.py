"""Initialisation: the size of what is drawn, and what stays at zero."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lightformer import Backbone, BackboneConfig, attention, init, position
from lightformer.init import is_residual
from lightformer.registry import Spec
from tests.variants import config, variants

LAYERS, WIDTH, VOCAB = 3, 120, 1009


def model(spec: Spec) -> Backbone:
    return Backbone(
        config(
            hidden_size=WIDTH,
            head_dim=20,
            intermediate_size=211,
            num_layers=LAYERS,
            max_seq_len=101,
            num_segments=2,
            position=position.learned(),
            init=spec,
        ),
        VOCAB,
    )


def expected_std(spec: Spec, name: str, module: nn.Module) -> float:
    residual = name.endswith("output")
    if spec.name == "normal":
        return 0.02
    if spec.name == "scaled_normal":
        return 0.02 / math.sqrt(2 * LAYERS) if residual else 0.02
    rows, columns = module.weight.shape
    return WIDTH**-0.5 if isinstance(module, nn.Embedding) else math.sqrt(2 / (rows + columns))


@pytest.mark.parametrize("spec", [init.normal(), init.scaled_normal(), init.xavier()])
def test_each_weight_has_its_size(spec: Spec) -> None:
    for name, module in model(spec).named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            of_few = 3 / math.sqrt(2 * module.weight.numel())  # three standard errors
            found, expected = float(module.weight.detach().std()), expected_std(spec, name, module)
            assert abs(found / expected - 1) < max(0.02, of_few), name


@pytest.mark.parametrize("spec", variants("init"))
def test_biases_are_zero_and_norms_are_one(spec: Spec) -> None:
    net = model(spec)
    linear = [m.bias for m in net.modules() if isinstance(m, nn.Linear)]
    assert linear
    assert not any(bias.any() for bias in linear)
    assert (net.norm.weight == 1).all()
    assert not net.norm.bias.any()


@pytest.mark.parametrize("spec", variants("init"))
def test_a_tied_weight_is_drawn_once(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    net = model(spec)
    head = nn.Linear(WIDTH, VOCAB)
    head.weight = net.embeddings.token.weight
    both = nn.ModuleDict({"backbone": net, "head": head})
    scheme = spec(net.config.dimensions())
    drawn: list[int] = []
    monkeypatch.setattr(scheme, "weight", lambda name, module, weight: drawn.append(id(weight)))
    scheme(both)
    assert len(drawn) == len(set(drawn))
    assert id(net.embeddings.token.weight) in drawn


def test_the_size_is_an_option() -> None:
    found = model(init.normal(std=0.3)).embeddings.token.weight.std()
    torch.testing.assert_close(found, torch.tensor(0.3), rtol=0.01, atol=0)


def test_what_writes_to_the_residual_is_called_output() -> None:
    names = [n for n, m in model(init.normal()).named_modules() if isinstance(m, nn.Linear)]
    residual = [name for name in names if is_residual(name)]
    assert len(residual) == 2 * LAYERS
    assert is_residual("output")
    assert not is_residual("output.norm")


@pytest.mark.parametrize("kind", [attention.mha(), attention.gqa(num_kv_heads=2)])
def test_mimetic_keys_start_as_queries(kind: Spec) -> None:
    sizes = BackboneConfig(
        hidden_size=24, num_layers=2, num_heads=6, attention=kind, init=init.mimetic(std=0.2)
    )
    model = Backbone(sizes, 17)
    for layer in model.layers():
        query = layer.attention.query.weight.view(6, 4, 24)  # (heads, head_dim, hidden)
        key = layer.attention.key.weight.view(-1, 4, 24)
        for head in range(len(key)):
            assert torch.equal(key[head], query[head * (6 // len(key))])
        assert not torch.equal(query[0], query[3])
        assert abs(query.std() - 0.2) < 0.03


def test_shared_layers_write_to_the_residual_as_often_as_others() -> None:
    """What a shared block writes is added up once a layer, so its size follows the depth."""
    sizes = config(hidden_size=WIDTH, head_dim=20, num_layers=8, num_layer_groups=2)
    for layer in Backbone(sizes, VOCAB).blocks:
        for part in (layer.attention, layer.feedforward):
            assert abs(part.output.weight.std() * math.sqrt(16) / 0.02 - 1) < 0.05


@pytest.mark.parametrize("spec", variants("init"))
def test_each_weight_of_a_shared_model_is_drawn_once(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    once = spec.part.weight

    def watched(self: Any, name: str, module: Any, weight: torch.Tensor) -> None:
        drawn.append(f"{name}.weight")
        once(self, name, module, weight)

    monkeypatch.setattr(spec.part, "weight", watched)
    net = Backbone(
        config(
            num_layers=6,
            num_layer_groups=2,
            embedding_size=5,
            position=position.learned(),
            init=spec,
        ),
        VOCAB,
    )
    assert sorted(drawn) == sorted(n for n, p in net.named_parameters() if p.ndim == 2)
    assert "embeddings.projection.weight" in drawn
