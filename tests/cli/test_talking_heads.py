"""The worked example does what its docs say."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lightformer import Backbone, BackboneConfig, attention, load_plugins, testing

FILE = Path(__file__).parents[2] / "plugins" / "talking_heads.py"


@pytest.fixture(autouse=True)
def _loaded() -> None:
    load_plugins([str(FILE)], folder=None)


def backbone(part, is_causal: bool = True) -> Backbone:
    config = BackboneConfig(hidden_size=30, num_heads=3, num_layers=2, attention=part)
    return Backbone(config, 17, is_causal=is_causal)


def talking(**options) -> Backbone:
    """One whose heads do talk."""
    model = backbone(attention.talking_heads(**options))
    for name, parameter in model.named_parameters():
        if "mix" in name:
            torch.nn.init.normal_(parameter)
    return model


IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])
IS_TOKEN = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


@pytest.mark.parametrize("is_causal", [True, False])
def test_starts_as_multi_head_attention(is_causal: bool) -> None:
    plain = backbone(attention.mha(), is_causal)
    mixed = backbone(attention.talking_heads(), is_causal)
    lacking = mixed.load_state_dict(plain.state_dict(), strict=False)
    assert len(lacking.missing_keys) == 4
    assert not lacking.unexpected_keys
    for mask in (None, IS_TOKEN):
        got, wanted = mixed(IDS, attention_mask=mask), plain(IDS, attention_mask=mask)
        torch.testing.assert_close(got[:, :4], wanted[:, :4], atol=1e-5, rtol=1e-5)


def test_against_the_formula_written_out() -> None:
    part = talking(mix_weights=True).double().blocks[0].attention
    query, key, value = torch.randn(3, 2, 3, 7, 10, dtype=torch.float64)
    allowed = torch.ones(7, 7, dtype=torch.bool).tril(-1)  # the first query may look at nothing
    context = SimpleNamespace(
        mask=SimpleNamespace(dense=lambda *_: allowed), bias=lambda *_: None, weights=[]
    )
    got = part.attend(query, key, value, context, 0)
    wanted = torch.zeros_like(query)
    for b in range(2):
        for q in range(1, 7):
            raw = torch.stack([key[b, h, :q] @ query[b, h, q] / 10**0.5 for h in range(3)])
            weights = part.mix_weights @ (part.mix_scores @ raw).softmax(dim=-1)
            torch.testing.assert_close(context.weights[0][b, :, q, :q], weights)
            wanted[b, :, q] = torch.stack([weights[h] @ value[b, h, :q] for h in range(3)])
    torch.testing.assert_close(got, wanted)


def test_no_position_sees_what_comes_later() -> None:
    model = talking()
    changed = IDS.clone()
    changed[:, 5] = 16
    torch.testing.assert_close(model(IDS)[:, :5], model(changed)[:, :5])
    assert (model(IDS)[:, 5:] - model(changed)[:, 5:]).abs().min() > 0


def test_generation_with_a_cache_equals_the_full_forward() -> None:
    model = talking().eval()
    full, cache = model(IDS), model.new_cache()
    steps = [model(IDS[:, :3], cache=cache)]
    steps += [model(IDS[:, i : i + 1], cache=cache) for i in range(3, 7)]
    torch.testing.assert_close(torch.cat(steps, dim=1), full, atol=1e-5, rtol=1e-5)


def test_gradients_are_finite_where_a_row_is_all_padding() -> None:
    model = talking()
    nothing = torch.tensor([[True] * 7, [False] * 7])
    model(IDS, attention_mask=nothing)[0].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_weights_are_not_mixed_where_the_user_says_so() -> None:
    model = talking(mix_weights=False)
    assert model.blocks[0].attention.mix_weights is None
    assert not any("mix_weights" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("options", [{}, {"mix_weights": False}])
def test_keeps_the_promises(options: dict[str, bool]) -> None:
    testing.check(attention.talking_heads(**options)).assert_held()
