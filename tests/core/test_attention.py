"""Attentions, compared with torch's own and with the formula written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightformer import attention, norm
from lightformer.attention import AttentionContext
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.position import NoPosition
from lightformer.registry import Spec
from lightformer.softmax_attention import SoftmaxAttention
from tests.variants import HEAD_DIM, HEADS, HIDDEN, close, dimensions, enlarge, variants

F64 = torch.float64


def context(seq: int, mask: AttentionMask, memory: Tensor | None = None, **more: Any) -> Any:
    keys = seq if memory is None else memory.shape[1]
    return AttentionContext(
        mask=mask,
        position=NoPosition(dimensions()),
        query_positions=torch.arange(seq)[None],
        key_positions=torch.arange(keys)[None],
        memory=memory,
        **more,
    )


def with_torch() -> tuple[SoftmaxAttention, nn.MultiheadAttention]:
    """Ours and torch's, with the same weights."""
    dims = dimensions(hidden_size=HEADS * HEAD_DIM)
    ours = enlarge(attention.mha()(dims).double())
    torchs = nn.MultiheadAttention(HEADS * HEAD_DIM, HEADS, batch_first=True, dtype=F64)
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        torchs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        torchs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        torchs.out_proj.weight.copy_(ours.output.weight)
        torchs.out_proj.bias.copy_(ours.output.bias)
    return ours, torchs


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("crosses", [False, True])
def test_mha_is_that_of_torch(is_causal: bool, is_padded: bool, crosses: bool) -> None:
    ours, torchs = with_torch()
    states = torch.randn(2, 7, HEADS * HEAD_DIM, dtype=F64, requires_grad=True)
    same = states.detach().clone().requires_grad_()
    memory = torch.randn(2, 11, HEADS * HEAD_DIM, dtype=F64) if crosses else None
    keys = 11 if crosses else 7
    is_token = torch.ones(2, keys, dtype=torch.bool)
    is_token[1, 4:] = False
    mask = AttentionMask(is_causal=is_causal, is_token=is_token if is_padded else None)
    weights: list[Tensor] = []
    found = ours(states, context(7, mask, memory, weights=weights))
    source = same if memory is None else memory
    expected, shares = torchs(
        same,
        source,
        source,
        key_padding_mask=~is_token if is_padded else None,
        attn_mask=torch.ones(7, keys, dtype=torch.bool).triu(1) if is_causal else None,
        average_attn_weights=False,
    )
    close(found, expected)
    close(weights[0], shares)
    found.square().sum().backward()
    expected.square().sum().backward()
    close(states.grad, same.grad)
    close(ours.output.weight.grad, torchs.out_proj.weight.grad)
    close(ours.key.weight.grad, torchs.in_proj_weight.grad[HEADS * HEAD_DIM :][: HEADS * HEAD_DIM])


def naive(part: SoftmaxAttention, states: Tensor, allowed: Tensor) -> Tensor:
    """The formula, head by head, with the weights of an attention."""
    gathered = []
    gates = None if part.gate is None else part.gate(states).sigmoid()
    for head in range(part.num_heads):
        shared = head * part.num_kv_heads // part.num_heads

        def project(linear: nn.Linear, number: int) -> Tensor:
            rows = slice(number * HEAD_DIM, (number + 1) * HEAD_DIM)
            return states @ linear.weight[rows].T + linear.bias[rows]

        def unit(vectors: Tensor, norm: nn.Module | None) -> Tensor:
            if norm is None:
                return vectors
            length = (vectors.square().mean(dim=-1, keepdim=True) + norm.eps).sqrt()
            return vectors / length * norm.weight

        query = unit(project(part.query, head), part.query_norm)
        key = unit(project(part.key, shared), part.key_norm)
        powers = (query @ key.mT / HEAD_DIM**0.5).exp() * allowed
        found = powers / powers.sum(dim=-1, keepdim=True) @ project(part.value, shared)
        if gates is not None:
            width = gates.shape[-1] // part.num_heads
            found = found * gates[..., head * width : (head + 1) * width]
        gathered.append(found)
    return torch.cat(gathered, dim=-1) @ part.output.weight.T + part.output.bias


@pytest.mark.parametrize("num_kv_heads", [1, 2, 3, 6])
def test_gqa_shares_a_key_head_among_neighbours(num_kv_heads: int) -> None:
    part = enlarge(attention.gqa(num_kv_heads=num_kv_heads)(dimensions()).double())
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    allowed = torch.ones(7, 7, dtype=F64).tril()
    close(part(states, context(7, AttentionMask(is_causal=True))), naive(part, states, allowed))
    assert part.key.out_features == part.value.out_features == num_kv_heads * HEAD_DIM


@pytest.mark.parametrize(
    "options",
    [{"qk_norm": norm.rms_norm(eps=0.1)}, {"gate": "element"}, {"gate": "head"}],
    ids=str,
)
def test_normalised_queries_and_keys_and_gates(options: dict[str, Any]) -> None:
    part = enlarge(attention.gqa(num_kv_heads=2, **options)(dimensions()))
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    allowed = torch.ones(7, 7, dtype=F64).tril()
    found = part.double()(states, context(7, AttentionMask(is_causal=True)))
    close(found, naive(part, states, allowed))
    assert (part.query_norm is None) == ("gate" in options)


def test_keys_are_normalised_before_they_are_rotated() -> None:
    part = enlarge(attention.mha(qk_norm=norm.layer_norm())(dimensions()).double())
    given = context(7, AttentionMask())
    seen: list[Tensor] = []

    class Watch(NoPosition):
        def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
            seen.append(states)
            return states

    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    part(states, replace(given, position=Watch(dimensions())))
    query, key = seen
    close((query - part.query_norm.bias) / part.query_norm.weight, _unit(part.query(states)))
    close((key - part.key_norm.bias) / part.key_norm.weight, _unit(part.key(states)))


def _unit(states: Tensor) -> Tensor:
    heads = states.view(2, 7, HEADS, HEAD_DIM).transpose(1, 2)
    centred = heads - heads.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_sliding_window_sees_its_neighbours_alone(is_causal: bool, window: int) -> None:
    part = enlarge(attention.sliding_window(window=window, num_kv_heads=3)(dimensions()).double())
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    far = torch.arange(7)[:, None] - torch.arange(7)
    allowed = (far >= 0) & (far < window) if is_causal else far.abs() <= window
    found = part(states, context(7, AttentionMask(is_causal=is_causal)))
    close(found, naive(part, states, allowed.double()))


def test_a_window_does_not_count_across_two_sequences() -> None:
    part = enlarge(attention.sliding_window(window=1)(dimensions()).double())
    wide = enlarge(attention.mha()(dimensions()).double())
    wide.load_state_dict(part.state_dict())
    states = torch.randn(2, 3, HIDDEN, dtype=F64)
    given = context(3, AttentionMask(), torch.randn(2, 11, HIDDEN, dtype=F64))
    close(part(states, given), wide(states, given))


SHARES = [v for v in variants("attention") if v.values[0].name in ("mha", "gqa", "sliding_window")]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("spec", SHARES)
def test_weights_on_request_change_nothing(spec: Spec, training: bool) -> None:
    part = enlarge(spec(dimensions()).double()).train(training)
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    mask = AttentionMask(
        is_causal=True, is_token=torch.tensor([[True] * 7, [True] * 3 + [False] * 4])
    )
    weights: list[Tensor] = []
    close(part(states, context(7, mask, weights=weights)), part(states, context(7, mask)))
    assert [w.shape for w in weights] == [(2, HEADS, 7, 7)]
    if not spec.options().get("sink"):
        close(weights[0][0].sum(dim=-1), torch.ones(HEADS, 7, dtype=F64))
    assert not weights[0][..., 0, 1:].any()
    assert not weights[0][1, ..., 3:].any()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            attention.gqa(num_kv_heads=4),
            "num_heads must be a multiple of num_kv_heads, but 6 is not one of 4.",
        ),
        (
            attention.gqa(num_kv_heads=0),
            "num_heads must be a multiple of num_kv_heads, but 6 is not one of 0.",
        ),
        (attention.sliding_window(window=0), "window must be at least 1 token, but is 0."),
        (attention.mha(softcap=0.0), "softcap must be above 0, but is 0.0."),
        (attention.mha(dropout=1.0), "dropout must be at least 0 and below 1, but is 1.0."),
        (attention.mha(dropout=-0.1), "dropout must be at least 0 and below 1, but is -0.1."),
    ],
)
def test_refusals(spec: Spec, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(dimensions())
    assert str(caught.value) == sentence
