"""The kernel, compared with the formula written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.kernels import attend, attention_weights
from lightformer.masks import AttentionMask
from tests.variants import close

DTYPES = (torch.float32, torch.float64)


def projected(
    kv_heads: int = 6, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    query = torch.randn(2, 6, 7, 10, dtype=dtype)
    key, value = torch.randn(2, 2, kv_heads, 11, 10, dtype=dtype).unbind()
    return query, key, value


def naive(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, bias: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """One query of one head at a time: weights and what they gather."""
    batch, heads, query_len, _ = query.shape
    weights = torch.zeros(batch, heads, query_len, key.shape[2], dtype=query.dtype)
    gathered = torch.zeros_like(query)
    for b in range(batch):
        for h in range(heads):
            kv = h * key.shape[1] // heads
            for i in range(query_len):
                seen = [j for j in range(key.shape[2]) if allowed[b, 0, i, j]]
                scores = [(query[b, h, i] * key[b, kv, j]).sum() * scale for j in seen]
                powers = [(s + bias[b, h, i, j]).exp() for s, j in zip(scores, seen, strict=True)]
                for j, power in zip(seen, powers, strict=True):
                    weights[b, h, i, j] = power / sum(powers)
                    gathered[b, h, i] += weights[b, h, i, j] * value[b, kv, j]
    return weights, gathered


@pytest.mark.parametrize("kv_heads", [6, 3, 2, 1])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_formula(kv_heads: int, biased: bool, scale: float | None) -> None:
    query, key, value = projected(kv_heads)
    allowed = torch.rand(2, 1, 7, 11) > 0.4
    bias = torch.randn(2, 6, 7, 11, dtype=torch.float64) if biased else None
    mask = AttentionMask(rule=lambda query, key: allowed[:, :, query, key].squeeze(1)[:, None])
    given: dict[str, Any] = {"mask": mask, "bias": bias, "scale": scale}
    zeros = torch.zeros(2, 6, 7, 11)
    expected = naive(query, key, value, allowed, zeros if bias is None else bias, scale or 10**-0.5)
    close(attention_weights(query, key, **given), expected[0])
    close(attend(query, key, value, **given), expected[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_query_that_sees_nothing_gets_zeros(
    dtype: torch.dtype, biased: bool, dropout: float
) -> None:
    query, key, value = (part.requires_grad_() for part in projected(2, dtype))
    bias = torch.randn(1, 6, 7, 11, dtype=dtype, requires_grad=True) if biased else None
    is_token = torch.ones(2, 11, dtype=torch.bool)
    is_token[1] = False
    mask = AttentionMask(is_token=is_token, rule=lambda query, key: (query != 3) | (key < 0))
    out = attend(query, key, value, mask=mask, bias=bias, dropout=dropout)
    weights = attention_weights(query, key, mask=mask, bias=bias)
    assert not out[1].any()
    assert not out[0, :, 3].any()
    assert out[0, :, 2].all()
    assert not weights[1].any()
    (out.square().sum() + weights.square().sum()).backward()
    for part in (query, key, value, *([bias] if bias is not None else [])):
        assert part.grad is not None
        assert part.grad.isfinite().all()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the fused kernel is given."""
    found: list[dict[str, Any]] = []
    fused = F.scaled_dot_product_attention

    def spy(*args: Tensor, **options: Any) -> Tensor:
        found.append(options)
        return fused(*args, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    return found


def test_plain_causal_goes_to_the_kernel_as_a_flag(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = torch.randn(2, 6, 7, 10)

    def no_square(*_: Any) -> Tensor:
        raise AssertionError("a square mask was made")

    monkeypatch.setattr(AttentionMask, "_dense", no_square)
    attend(query, query, query, mask=AttentionMask(is_causal=True))
    attend(query, query, query, mask=AttentionMask())
    attend(query[:, :, :1], query, query, mask=AttentionMask(is_causal=True, query_start=6))
    assert [call["is_causal"] for call in calls] == [True, False, False]
    assert [call["attn_mask"] for call in calls] == [None] * 3


def test_a_bias_joins_the_causal_mask(calls: list[dict[str, Any]]) -> None:
    query, key, value = projected(6)
    bias = torch.randn(1, 6, 7, 7, dtype=torch.float64)
    key, value = key[:, :, :7], value[:, :, :7]
    allowed = torch.ones(7, 7, dtype=torch.bool).tril().expand(2, 1, 7, 7)
    found = attend(query, key, value, mask=AttentionMask(is_causal=True), bias=bias)
    close(found, naive(query, key, value, allowed, bias.expand(2, -1, -1, -1), 10**-0.5)[1])
    assert not calls[0]["is_causal"]  # a kernel on a GPU takes one of the two


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    query, key, _ = projected(6)
    value = torch.ones(2, 6, 11, 10, dtype=torch.float64)
    mask = AttentionMask()
    rounds = torch.stack([attend(query, key, value, mask=mask, dropout=0.3) for _ in range(400)])
    assert rounds.std(dim=0).min() > 0.05
    close(rounds.mean(), torch.ones((), dtype=torch.float64), 0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_is_that_of_the_queries(dtype: torch.dtype, calls: list[dict[str, Any]]) -> None:
    query, key, value = projected(2, dtype)
    bias = torch.randn(6, 7, 11, dtype=torch.float32)
    mask = AttentionMask(is_token=torch.rand(2, 11) > 0.3)
    assert attend(query, key, value, mask=mask, bias=bias).dtype == dtype
    assert calls[0]["attn_mask"].dtype == dtype
    assert attention_weights(query, key, mask=mask, bias=bias).dtype == dtype
