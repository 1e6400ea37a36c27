"""The kernel, compared with the formula written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.kernels import Scores, attend, attention_weights
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
    query: Tensor,
    key: Tensor,
    value: Tensor,
    allowed: Tensor,
    bias: Tensor,
    scale: float,
    softcap: float | None = None,
    sink: Tensor | None = None,
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
                scores = [s + bias[b, h, i, j] for s, j in zip(scores, seen, strict=True)]
                if softcap is not None:
                    scores = [softcap * (s / softcap).tanh() for s in scores]
                powers = [s.exp() for s in scores]
                nothing = 0.0 if sink is None else sink[h].exp()
                for j, power in zip(seen, powers, strict=True):
                    weights[b, h, i, j] = power / (sum(powers) + nothing)
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
    scores = Scores(mask=mask, bias=bias, scale=scale)
    zeros = torch.zeros(2, 6, 7, 11)
    expected = naive(query, key, value, allowed, zeros if bias is None else bias, scale or 10**-0.5)
    close(attention_weights(query, key, scores), expected[0])
    close(attend(query, key, value, scores), expected[1])


@pytest.mark.parametrize("kv_heads", [6, 2])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("softcap", [None, 1.3])
@pytest.mark.parametrize("sinks", [False, True])
@pytest.mark.parametrize("is_masked", [False, True])
def test_softcap_and_sink(
    kv_heads: int, biased: bool, softcap: float | None, sinks: bool, is_masked: bool
) -> None:
    query, key, value = projected(kv_heads)
    allowed = torch.rand(2, 1, 7, 11) > 0.4 if is_masked else torch.ones(2, 1, 7, 11).bool()
    bias = torch.randn(2, 6, 7, 11, dtype=torch.float64) * float(biased)
    sink = torch.randn(6, dtype=torch.float64) if sinks else None
    mask = AttentionMask(rule=(lambda q, k: allowed[:, 0, q, k][:, None]) if is_masked else None)
    scores = Scores(
        mask, bias if biased else None, scale=0.6, softcap=softcap, sink=sink, key_start=0
    )
    expected = naive(query, key, value, allowed, bias, 0.6, softcap, sink)
    close(attention_weights(query, key, scores), expected[0])
    close(attend(query, key, value, scores), expected[1])


@pytest.mark.parametrize("width", [3, 23])
@pytest.mark.parametrize("sinks", [False, True])
def test_values_may_be_of_any_width(width: int, sinks: bool) -> None:
    query, key, _ = projected(2)
    value = torch.randn(2, 2, 11, width, dtype=torch.float64)
    sink = torch.randn(6, dtype=torch.float64) if sinks else None
    scores = Scores(AttentionMask(is_token=torch.rand(2, 11) > 0.3), sink=sink)
    weights = attention_weights(query, key, scores)
    expected = torch.einsum("bhqk,bhkw->bhqw", weights, value.repeat_interleave(3, dim=1))
    close(attend(query, key, value, scores), expected)


def test_a_sink_stays_in_the_fused_kernel(calls: list[dict[str, Any]]) -> None:
    query, key, value = projected(2)
    sink = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    mask = AttentionMask(is_token=torch.rand(2, 11) > 0.3)
    attend(query, key, value, Scores(mask, sink=sink)).square().sum().backward()
    assert calls[0]["attn_mask"].shape == (
        2,
        1,
        1,
        12,
    )  # one mask for all heads, without a gradient
    assert sink.grad is not None
    assert sink.grad.all()


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
    scores = Scores(mask=mask, bias=bias)
    out = attend(query, key, value, scores, dropout=dropout)
    weights = attention_weights(query, key, scores)
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
    attend(query, query, query, Scores(AttentionMask(is_causal=True)))
    attend(query, query, query, Scores(AttentionMask()))
    last = AttentionMask(is_causal=True, query_start=6)
    attend(query[:, :, :1], query, query, Scores(last))
    assert [call["is_causal"] for call in calls] == [True, False, False]
    assert [call["attn_mask"] for call in calls] == [None] * 3


def test_a_bias_joins_the_causal_mask(calls: list[dict[str, Any]]) -> None:
    query, key, value = projected(6)
    bias = torch.randn(1, 6, 7, 7, dtype=torch.float64)
    key, value = key[:, :, :7], value[:, :, :7]
    allowed = torch.ones(7, 7, dtype=torch.bool).tril().expand(2, 1, 7, 7)
    found = attend(query, key, value, Scores(AttentionMask(is_causal=True), bias))
    close(found, naive(query, key, value, allowed, bias.expand(2, -1, -1, -1), 10**-0.5)[1])
    assert not calls[0]["is_causal"]  # a kernel on a GPU takes one of the two


def test_dropout_drops_weights_and_keeps_their_mean() -> None:
    query, key, _ = projected(6)
    value = torch.ones(2, 6, 11, 10, dtype=torch.float64)
    scores = Scores(AttentionMask())
    rounds = torch.stack([attend(query, key, value, scores, dropout=0.3) for _ in range(400)])
    assert rounds.std(dim=0).min() > 0.05
    close(rounds.mean(), torch.ones((), dtype=torch.float64), 0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_is_that_of_the_queries(dtype: torch.dtype, calls: list[dict[str, Any]]) -> None:
    query, key, value = projected(2, dtype)
    bias = torch.randn(6, 7, 11, dtype=torch.float32)
    mask = AttentionMask(is_token=torch.rand(2, 11) > 0.3)
    scores = Scores(mask, bias)
    assert attend(query, key, value, scores).dtype == dtype
    assert calls[0]["attn_mask"].dtype == dtype
    assert attention_weights(query, key, scores).dtype == dtype
