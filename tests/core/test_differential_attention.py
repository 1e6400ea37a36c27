"""Differential attention, compared with its formula written out in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import attention, position
from lightformer.attention import AttentionContext
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.parts.attention.differential import DifferentialAttention
from lightformer.position import NoPosition
from lightformer.registry import Spec
from tests.variants import HEAD_DIM, HEADS, HIDDEN, close, dimensions, enlarge

F64 = torch.float64
PAIRS = HEADS // 2
Allowed = Callable[[int, int, int], bool]
"""Whether in row b query i may look at key j."""
IS_TOKEN = torch.tensor([[False] * 2 + [True] * 5, [True, False, True, True, True, False, False]])
CASES: dict[str, tuple[AttentionMask, Allowed]] = {
    "all": (AttentionMask(), lambda b, i, j: True),
    "causal": (AttentionMask(is_causal=True), lambda b, i, j: j <= i),
    "padded": (AttentionMask(is_token=IS_TOKEN), lambda b, i, j: bool(IS_TOKEN[b, j])),
    "causal-padded": (
        AttentionMask(is_causal=True, is_token=IS_TOKEN),
        lambda b, i, j: j <= i and bool(IS_TOKEN[b, j]),
    ),
}


def attending(layer: int = 1, **options: Any) -> DifferentialAttention:
    """With vectors that make lambda neither 0 nor 1, and another for each change of them."""
    part = enlarge(attention.differential(**options)(dimensions(layer=layer)).double())
    with torch.no_grad():
        for vector in (part.first_query, part.first_key, part.second_query, part.second_key):
            vector.copy_(torch.randn(HEAD_DIM, dtype=F64) * 0.3)
    return part


def context(queries: int, mask: AttentionMask | None = None, **more: Any) -> AttentionContext:
    memory = more.get("memory")
    given = {
        "mask": AttentionMask() if mask is None else mask,
        "position": NoPosition(dimensions()),
        "query_positions": torch.arange(queries)[None],
        "key_positions": torch.arange(queries if memory is None else memory.shape[1])[None],
    }
    return AttentionContext(**{**given, **more})


def share_of(part: DifferentialAttention, layer: int) -> float:
    """lambda of the paper, which counts layers from 1."""
    first, second = (
        math.exp(sum(q * k for q, k in zip(query.tolist(), key.tolist(), strict=True)))
        for query, key in (
            (part.first_query, part.first_key),
            (part.second_query, part.second_key),
        )
    )
    return first - second + start_of(layer)


def start_of(layer: int) -> float:
    counted_from_1 = layer + 1
    return 0.8 - 0.6 * math.exp(-0.3 * (counted_from_1 - 1))


def softmax(scores: dict[int, float]) -> dict[int, float]:
    powers = {j: math.exp(score) for j, score in scores.items()}
    return {j: power / sum(powers.values()) for j, power in powers.items()}


def naive(
    part: DifferentialAttention,
    states: Tensor,
    given: AttentionContext,
    allowed: Allowed,
    layer: int = 1,
) -> tuple[Tensor, Tensor]:
    """What comes out, and the weights of each pair; one query of one pair at a time.

    The two maps of pair p are heads 2p and 2p + 1; its value has the width of both.
    """
    source = states if given.memory is None else given.memory
    queries, keys = states.shape[1], source.shape[1]

    def project(linear: nn.Linear, of: Tensor, number: int) -> Tensor:
        width = linear.out_features // number
        return (of @ linear.weight.T + linear.bias).view(*of.shape[:2], number, width)

    def heads(linear: nn.Linear, of: Tensor, places: Tensor) -> Tensor:
        split = project(linear, of, HEADS).transpose(1, 2)
        return given.position.rotate(split, places)

    query = heads(part.query, states, given.query_positions)
    key = heads(part.key, source, given.key_positions)
    value = project(part.value, source, PAIRS)
    bias = given.position.bias(given.query_positions, given.key_positions)
    share, scale = share_of(part, layer), 1 - start_of(layer)
    weights = torch.zeros(len(states), PAIRS, queries, keys, dtype=F64)
    gathered = torch.zeros(len(states), queries, PAIRS, 2 * HEAD_DIM, dtype=F64)
    for b, p, i in [
        (b, p, i) for b in range(len(states)) for p in range(PAIRS) for i in range(queries)
    ]:
        for head, sign in ((2 * p, 1.0), (2 * p + 1, -share)):
            scores = {
                j: float(query[b, head, i] @ key[b, head, j]) / math.sqrt(HEAD_DIM)
                + (0.0 if bias is None else float(bias[0, head, i, j]))
                for j in range(keys)
                if allowed(b, i, j)
            }
            for j, weight in softmax(scores).items():
                weights[b, p, i, j] += sign * weight
        found = sum(weights[b, p, i, j] * value[b, j, p] for j in range(keys))
        length = math.sqrt(float(found.square().mean()) + 1e-5)
        gathered[b, i, p] = found / length * part.pair_norm.weight * scale
    return gathered.flatten(2) @ part.output.weight.T + part.output.bias, weights


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("placing", [position.none(), position.rope(), position.alibi()], ids=str)
@pytest.mark.parametrize("layer", [0, 3])
@torch.no_grad()
def test_formula(case: str, placing: Spec, layer: int) -> None:
    part, (mask, allowed) = attending(layer), CASES[case]
    states, weights = torch.randn(2, 7, HIDDEN, dtype=F64), []
    given = context(7, mask, position=placing(dimensions()))
    expected, shares = naive(part, states, given, allowed, layer)
    tolerance = 1e-6 if placing.name == "alibi" else 1e-10  # its slopes are float32
    close(part(states, replace(given, weights=weights)), expected, tolerance)
    close(part(states, given), expected, tolerance)
    assert len(weights) == 1
    close(weights[0], shares, tolerance)


@pytest.mark.parametrize("is_padded", [False, True])
@torch.no_grad()
def test_another_sequence(is_padded: bool) -> None:
    part, states = attending(), torch.randn(2, 7, HIDDEN, dtype=F64)
    is_token = torch.rand(2, 11) > 0.4
    mask = AttentionMask(is_token=is_token if is_padded else None)
    given = context(7, mask, memory=torch.randn(2, 11, HIDDEN, dtype=F64))
    expected, _ = naive(part, states, given, lambda b, i, j: not is_padded or is_token[b, j])
    close(part(states, given), expected)


def test_gradients() -> None:
    """Against those of differences, of what is new: the vectors in lambda, the norm and the input."""
    part, states = attending(), torch.randn(1, 5, HIDDEN, dtype=F64, requires_grad=True)
    given = context(5, AttentionMask(is_causal=True), position=position.rope()(dimensions()))
    names = ("first_query", "first_key", "second_query", "second_key", "pair_norm.weight")

    def run(states: Tensor, *vectors: Tensor) -> Tensor:
        changed = dict(zip(names, vectors, strict=True))
        return torch.func.functional_call(part, changed, (states, given))

    inputs = (states, *(part.get_parameter(name) for name in names))
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    found = torch.autograd.grad(run(*inputs).square().sum(), inputs)
    assert all(gradient.abs().min() > 1e-6 for gradient in found)


@pytest.mark.parametrize("training", [False, True])
def test_both_maps_go_through_the_fused_kernel_at_once(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    fused = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F,
        "scaled_dot_product_attention",
        lambda *args, **options: calls.append(options) or fused(*args, **options),
    )
    part = attending(dropout=0.3).train(training)
    part(torch.randn(2, 7, HIDDEN, dtype=F64), context(7, AttentionMask(is_causal=True)))
    assert len(calls) == 1
    assert calls[0]["is_causal"]
    assert calls[0]["attn_mask"] is None
    assert calls[0]["dropout_p"] == (0.3 if training else 0.0)


def test_it_is_as_large_as_multi_head_attention() -> None:
    def size(name: str) -> int:
        part = getattr(attention, name)()(dimensions())
        return sum(parameter.numel() for parameter in part.parameters())

    assert size("differential") == size("mha") + 4 * HEAD_DIM + 2 * HEAD_DIM


@pytest.mark.parametrize("layer", [0, 1, 11])
def test_lambda_starts_near_a_value_that_grows_with_depth(layer: int) -> None:
    part = attention.differential()(dimensions(layer=layer))
    assert math.isclose(part.start, {0: 0.2, 1: 0.3555, 11: 0.7779}[layer], abs_tol=1e-4)
    assert abs(part.share().item() - part.start) < 0.2
    vectors = [part.first_query, part.first_key, part.second_query, part.second_key]
    assert 0.05 < torch.stack(vectors).std() < 0.15
    assert all(vector.ndim == 1 for vector in vectors)


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    part, states = attending(), torch.randn(2, 7, HIDDEN, dtype=F64, requires_grad=True)
    is_token = torch.ones(2, 7, dtype=torch.bool)
    is_token[0] = False
    out = part(states, context(7, AttentionMask(is_causal=True, is_token=is_token)))
    close(out[0], part.output.bias.expand(7, -1))
    out.square().sum().backward()
    assert states.grad is not None
    assert all(p.grad.isfinite().all() for p in (states, *part.parameters()))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cast", ["bfloat16", "autocast"])
@torch.no_grad()
def test_a_cast_model_is_close(cast: str) -> None:
    part, states = attending(), torch.randn(2, 7, HIDDEN, dtype=F64)
    given = context(7, AttentionMask(is_causal=True), position=position.rope()(dimensions()))
    exact, share = part(states, given), part.share()
    part = part.to(torch.bfloat16 if cast == "bfloat16" else torch.float32)
    with torch.autocast("cpu", torch.bfloat16, enabled=cast == "autocast"):
        found = part(states.to(part.query.weight.dtype), given)
    assert found.dtype == torch.bfloat16
    assert part.share().dtype == torch.float32
    close(part.share().double(), share, 0.02)
    close(found.double(), exact, 0.1)
    assert (found.double() - exact).square().mean().sqrt() < 0.02 * exact.std()


def test_it_compiles_whole() -> None:
    torch.compiler.reset()
    part, states = attending(), torch.randn(2, 7, HIDDEN, dtype=F64)
    mask = AttentionMask(is_causal=True, is_token=IS_TOKEN)
    given = context(7, mask, position=position.alibi()(dimensions()))
    compiled = torch.compile(part, backend="eager", fullgraph=True)
    close(compiled(states, given), part(states, given))


def test_heads_come_in_pairs() -> None:
    with pytest.raises(ConfigError) as caught:
        attention.differential()(dimensions(num_heads=7))
    assert str(caught.value) == (
        "num_heads must be even for attention differential, which pairs them, but is 7."
    )
