"""Linear attention, compared with its formula written out in float64, and shown to be linear."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lightformer import attention, position, scaling
from lightformer.attention import AttentionContext
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.parts.attention import linear as module
from lightformer.parts.attention.linear import LinearAttention, RunningSums
from lightformer.position import NoPosition, Position
from tests.variants import HEAD_DIM, HEADS, HIDDEN, backbone, close, dimensions, enlarge, tokens

F64 = torch.float64
PLACES = [position.none(), position.rope()]
Allowed = Callable[[int, int, int], bool]
"""Whether in row b query i may look at key j."""


def attending() -> LinearAttention:
    return enlarge(attention.linear()(dimensions()).double())


def context(queries: int, mask: AttentionMask | None = None, **more: Any) -> AttentionContext:
    memory = more.get("memory")
    given = {
        "mask": AttentionMask() if mask is None else mask,
        "position": NoPosition(dimensions()),
        "query_positions": torch.arange(queries)[None],
        "key_positions": torch.arange(queries if memory is None else memory.shape[1])[None],
    }
    return AttentionContext(**{**given, **more})


def phi(vector: list[float]) -> list[float]:
    return [x + 1 if x > 0 else math.exp(x) for x in vector]


def turn(vector: list[float], place: int) -> list[float]:
    """Each pair of dimensions as a complex number, turned; as in equation 34 of the paper of rope."""
    half, out = len(vector) // 2, list(vector)
    for i in range(half):
        angle = place * 10_000.0 ** (-i / half)
        number = complex(vector[i], vector[half + i]) * cmath.exp(1j * angle)
        out[i], out[half + i] = number.real, number.imag
    return out


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def heads_of(linear: nn.Linear, states: Tensor) -> list[Any]:
    """[row][head][place] is a list of head_dim numbers."""
    projected = states @ linear.weight.T + linear.bias
    return projected.view(*states.shape[:2], HEADS, HEAD_DIM).transpose(1, 2).tolist()


def naive(
    part: LinearAttention,
    states: Tensor,
    allowed: Allowed,
    *,
    memory: Tensor | None = None,
    places: list[list[int]] | None = None,
) -> Tensor:
    """Equation 7 of the paper, one query and one key at a time; with places, equation 19 of rope's."""
    source = states if memory is None else memory
    query = heads_of(part.query, states)
    key, value = heads_of(part.key, source), heads_of(part.value, source)
    batch, queries, keys = len(states), states.shape[1], source.shape[1]
    gathered = torch.zeros(batch, queries, HEADS, HEAD_DIM, dtype=F64)
    for b, h, i in [(b, h, i) for b in range(batch) for h in range(HEADS) for i in range(queries)]:
        divisor = 0.0
        for j in range(keys):
            if not allowed(b, i, j):
                continue
            q, k = phi(query[b][h][i]), phi(key[b][h][j])
            divisor += dot(q, k)
            if places is not None:
                q, k = turn(q, places[b][i]), turn(k, places[b][j])
            gathered[b, i, h] += dot(q, k) * torch.tensor(value[b][h][j], dtype=F64)
        if divisor:
            gathered[b, i, h] /= divisor
    return gathered.flatten(2) @ part.output.weight.T + part.output.bias


IS_TOKEN = torch.tensor([[False] * 2 + [True] * 5, [True, False, True, True, True, False, False]])
DOCUMENTS = torch.tensor([[4, 4, 4, 1, 2, 2, 2], [0, 7, 7, 7, 7, 7, 7]])
PREFIX = torch.tensor([3, 6])
CASES: dict[str, tuple[AttentionMask, Allowed]] = {
    "all": (AttentionMask(), lambda b, i, j: True),
    "causal": (AttentionMask(is_causal=True), lambda b, i, j: j <= i),
    "padded": (AttentionMask(is_token=IS_TOKEN), lambda b, i, j: bool(IS_TOKEN[b, j])),
    "causal-padded": (
        AttentionMask(is_causal=True, is_token=IS_TOKEN),
        lambda b, i, j: j <= i and bool(IS_TOKEN[b, j]),
    ),
    "packed": (
        AttentionMask(query_documents=DOCUMENTS, key_documents=DOCUMENTS),
        lambda b, i, j: bool(DOCUMENTS[b, i] == DOCUMENTS[b, j]),
    ),
    "causal-packed-padded": (
        AttentionMask(
            is_causal=True, is_token=IS_TOKEN, query_documents=DOCUMENTS, key_documents=DOCUMENTS
        ),
        lambda b, i, j: j <= i and bool(IS_TOKEN[b, j] and DOCUMENTS[b, i] == DOCUMENTS[b, j]),
    ),
    "prefix": (
        AttentionMask(is_causal=True, prefix_lengths=PREFIX),
        lambda b, i, j: j <= i or j < int(PREFIX[b]),
    ),
    "prefix-packed-padded": (
        AttentionMask(
            is_causal=True,
            prefix_lengths=PREFIX,
            is_token=IS_TOKEN,
            query_documents=DOCUMENTS,
            key_documents=DOCUMENTS,
        ),
        lambda b, i, j: (
            (j <= i or j < int(PREFIX[b]))
            and bool(IS_TOKEN[b, j] and DOCUMENTS[b, i] == DOCUMENTS[b, j])
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize("placing", PLACES, ids=["none", "rope"])
def test_formula(case: str, chunk: int, placing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    part, (mask, allowed) = attending(), CASES[case]
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    places = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [0, 5, 6, 7, 8, 9, 100]])
    given = context(7, mask, position=placing(dimensions()), query_positions=places)
    turned = places.tolist() if placing.name == "rope" else None
    expected = naive(part, states, allowed, places=turned)
    close(part(states, replace(given, key_positions=places)), expected)


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("fits", [True, False])
def test_another_sequence(is_padded: bool, fits: bool) -> None:
    part, length = attending(), 7 if fits else 11
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    memory = torch.randn(2, length, HIDDEN, dtype=F64)
    is_token = torch.rand(2, length) > 0.4
    is_token[1] = False
    mask = AttentionMask(is_token=is_token if is_padded else None)
    found = part(states, context(7, mask, memory=memory))
    expected = naive(
        part, states, lambda b, i, j: not is_padded or bool(is_token[b, j]), memory=memory
    )
    close(found, expected)


@pytest.mark.parametrize("length", [7, 11])
def test_another_packed_sequence(length: int) -> None:
    part, states = attending(), torch.randn(2, 7, HIDDEN, dtype=F64)
    memory = torch.randn(2, length, HIDDEN, dtype=F64)
    own, other = torch.randint(0, 3, (2, 7)), torch.randint(0, 3, (2, length))
    is_token = torch.rand(2, length) > 0.2
    mask = AttentionMask(query_documents=own, key_documents=other, is_token=is_token)
    found = part(states, context(7, mask, memory=memory))

    def allowed(b: int, i: int, j: int) -> bool:
        return bool(is_token[b, j] and own[b, i] == other[b, j])

    close(found, naive(part, states, allowed, memory=memory))


def dense(part: LinearAttention, states: Tensor, given: AttentionContext) -> Tensor:
    """The formula with a square of weights; for gradients, and for what is long."""

    def project(linear: nn.Linear) -> Tensor:
        return linear(states).view(*states.shape[:2], HEADS, HEAD_DIM).transpose(1, 2)

    query, key = (nn.functional.elu(project(linear)) + 1 for linear in (part.query, part.key))
    allowed = given.mask.dense(states.shape[1], states.shape[1], states.device)
    divisor = (query @ key.mT * allowed).sum(dim=-1, keepdim=True)
    query, key = (given.position.rotate(part, given.query_positions) for part in (query, key))
    weights = (query @ key.mT * allowed) / divisor.clamp(min=1e-300)
    return part.output((weights @ project(part.value)).transpose(1, 2).flatten(2))


def long(length: int) -> AttentionMask:
    """Documents shorter and longer than a chunk, padding inside them and at the end, a prefix."""
    documents = torch.arange(length).expand(2, -1) // torch.tensor([[150], [37]])
    is_token = torch.rand(2, length) > 0.2
    is_token[1, -20:] = False
    return AttentionMask(
        is_causal=True,
        is_token=is_token,
        prefix_lengths=torch.tensor([length // 3, 100]),
        query_documents=documents,
        key_documents=documents,
    )


@pytest.mark.parametrize("is_causal", [False, True])
def test_many_chunks_and_their_gradients(is_causal: bool) -> None:
    part, states = attending(), torch.randn(2, 331, HIDDEN, dtype=F64, requires_grad=True)
    mask = replace(long(331), is_causal=is_causal)
    given = context(331, mask, position=position.rope()(dimensions()))
    found, expected = part(states, given), dense(part, states, given)
    close(found, expected)
    parameters = [states, *part.parameters()]
    factors = torch.randn_like(found)
    close(
        torch.autograd.grad((found * factors).sum(), parameters),
        torch.autograd.grad((expected * factors).sum(), parameters),
        1e-8,
    )


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_a_query_that_sees_nothing_gets_zeros(is_causal: bool, dtype: torch.dtype) -> None:
    part = attending().to(dtype)
    states = torch.randn(2, 7, HIDDEN, dtype=dtype, requires_grad=True)
    is_token = torch.ones(2, 7, dtype=torch.bool)
    is_token[0], is_token[1, :3] = False, False
    mask = AttentionMask(is_causal=is_causal, is_token=is_token)
    out = part(states, context(7, mask, position=position.rope()(dimensions())))
    nothing = part.output.bias.expand(7, -1)
    close(out[0], nothing)
    assert not is_causal or out[1, :3].equal(nothing[:3])
    assert not out[1, 3:].isclose(nothing[3:]).any()
    out.square().sum().backward()
    assert states.grad is not None
    assert all(p.grad.isfinite().all() for p in (states, *part.parameters()))


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_document_leaves_nothing_in_the_next(
    is_causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a rounding: a huge number would show it."""
    monkeypatch.setattr(module, "CHUNK", 3)
    part, states = attending(), torch.randn(1, 23, HIDDEN, dtype=F64)
    states[:, :10] *= 1e200
    documents = torch.tensor([[0] * 10 + [1] * 13])
    mask = AttentionMask(is_causal=is_causal, query_documents=documents, key_documents=documents)
    alone = part(states[:, 10:], context(13, AttentionMask(is_causal=is_causal)))
    close(part(states, context(23, mask))[:, 10:], alone)


@pytest.mark.parametrize("prefix", [None, torch.tensor([30, 45])])
@torch.no_grad()
def test_a_cache_of_one_size_equals_the_whole(
    prefix: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    net = backbone(attention=attention.linear(), position=position.rope(), max_seq_len=101)
    ids, is_token = tokens(seq=101), torch.ones(2, 101, dtype=torch.bool)
    is_token[1, :19] = False
    cache, found, sizes, start = net.new_cache(), [], set(), 0
    for size in (50, 1, 1, 23, *([1] * 26)):
        piece = slice(start, start + size)
        given = {"attention_mask": is_token[:, piece], "prefix_lengths": prefix}
        found.append(net(ids[:, piece], cache=cache, **given))
        start += size
        for layer in cache.layers:
            assert isinstance(layer, RunningSums)
            assert layer.sums is not None
            sizes.add(sum(part.untyped_storage().nbytes() for part in layer.sums))
    expected = net(ids, attention_mask=is_token, prefix_lengths=prefix)
    close(torch.cat(found, dim=1)[is_token], expected[is_token])
    assert sizes == {2 * HEADS * HEAD_DIM * (HEAD_DIM + 1) * 8}


class Made(TorchDispatchMode):
    """Counts the elements of what is made: of the largest, and of all."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.all = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(made, Tensor):
                self.largest = max(self.largest, made.numel())
                self.all += made.numel()
        return out


def cost(name: str, length: int, mask: AttentionMask) -> tuple[int, int, int]:
    """FLOPs, elements of the largest tensor, and elements of all, of a step of training."""
    part = getattr(attention, name)()(dimensions())
    states = torch.randn(1, length, HIDDEN)
    if mask.query_documents is not None:
        documents = torch.arange(length)[None] // 50
        mask = replace(mask, query_documents=documents, key_documents=documents)
    given = context(length, mask, position=position.rope()(dimensions()))
    with FlopCounterMode(display=False) as flops, Made() as made:
        part(states, given).sum().backward()
    return flops.get_total_flops(), made.largest, made.all


@pytest.mark.parametrize("case", ["all", "causal", "packed", "prefix"])
def test_cost_grows_with_the_length(case: str) -> None:
    mask = replace(CASES[case][0], prefix_lengths=torch.tensor([300]))
    few, many = cost("linear", 512, mask), cost("linear", 2048, mask)
    flops, largest, made = (more / less for more, less in zip(many, few, strict=True))
    assert 3.9 < flops < 4.1
    assert 3.9 < largest < 4.1
    assert 3.9 < made < 4.2  # the sums of n chunks are added up in log n rounds


def test_what_grows_with_the_square_is_seen() -> None:
    mask = AttentionMask(query_documents=DOCUMENTS)
    with sdpa_kernel(SDPBackend.MATH):
        few, many = cost("mha", 512, mask), cost("mha", 2048, mask)
    flops, largest, _ = (more / less for more, less in zip(many, few, strict=True))
    assert flops > 8
    assert largest > 8


@pytest.mark.parametrize("cast", ["bfloat16", "autocast"])
def test_sums_are_exact_in_a_cast_model(cast: str) -> None:
    part = attending().to(torch.bfloat16 if cast == "bfloat16" else torch.float32)
    states = torch.randn(2, 501, HIDDEN).to(part.query.weight.dtype)
    seen: dict[str, Tensor] = {}
    for name in ("query", "key", "value"):
        getattr(part, name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.double()})
        )
    part.output.register_forward_pre_hook(lambda _, given: seen.update(out=given[0]))
    cache, given = part.new_cache(), context(501, AttentionMask(is_causal=True))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=cast == "autocast"):
        assert part(states, replace(given, cache=cache)).dtype == torch.bfloat16
    query, key, value = (
        seen[name].view(2, 501, HEADS, HEAD_DIM).transpose(1, 2)
        for name in ("query", "key", "value")
    )
    query, key = (torch.where(x > 0, x + 1, x.exp()) for x in (query, key))
    assert cache.sums is not None
    assert cache.sums[0].dtype == torch.float32
    torch.testing.assert_close(cache.sums[0].double(), key.mT @ value, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(cache.sums[1][..., 0].double(), key.sum(2), rtol=1e-5, atol=0)
    weights = (query @ key.mT).tril()
    exact = (weights @ value / weights.sum(-1, keepdim=True)).transpose(1, 2).flatten(2)
    assert seen["out"].dtype == torch.bfloat16
    torch.testing.assert_close(seen["out"].double(), exact, rtol=2**-8, atol=1e-5)


def test_features_far_below_zero_keep_their_size() -> None:
    """exp(x) - 1 + 1, as `elu` has it, is 0 in float32 from -17 on."""
    part, weights = attending().float(), []
    with torch.no_grad():
        part.query.weight.zero_()
        part.query.bias.fill_(-30.0)
    part(torch.randn(2, 7, HIDDEN), context(7, weights=weights))
    close(weights[0].sum(dim=-1), torch.ones(2, HEADS, 7), 1e-5)


@pytest.mark.parametrize("placing", PLACES, ids=["none", "rope"])
@pytest.mark.parametrize("case", CASES)
def test_weights_on_request_are_what_is_used(case: str, placing: Any) -> None:
    part, (mask, allowed) = attending(), CASES[case]
    states, weights = torch.randn(2, 7, HIDDEN, dtype=F64), []
    found = part(states, context(7, mask, position=placing(dimensions()), weights=weights))
    value = part.value(states).view(2, 7, HEADS, HEAD_DIM).transpose(1, 2)
    close(part.output((weights[0] @ value).transpose(1, 2).flatten(2)), found)
    seen = [[[allowed(b, i, j) for j in range(7)] for i in range(7)] for b in range(2)]
    assert (weights[0] != 0).all(dim=1).tolist() == seen


def test_only_what_is_gathered_turns() -> None:
    """With the divisor turned too, the weights of one query would always add up to 1."""
    part, weights = attending(), []
    given = context(7, position=position.rope()(dimensions()), weights=weights)
    part(torch.randn(2, 7, HIDDEN, dtype=F64), given)
    assert not weights[0].sum(dim=-1).isclose(torch.ones((), dtype=F64)).any()


@pytest.mark.parametrize("cast", [False, True])
def test_it_compiles_whole(cast: bool) -> None:
    torch.compiler.reset()
    part, states = attending().float(), torch.randn(2, 131, HIDDEN)
    given = context(131, long(131), position=position.rope()(dimensions()))
    compiled = torch.compile(part, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        close(compiled(states, given), part(states, given))


def test_it_runs_without_data() -> None:
    part, states = attending().to("meta"), torch.randn(2, 131, HIDDEN, dtype=F64, device="meta")
    places = torch.arange(131, device="meta")[None]
    given = context(131, AttentionMask(is_causal=True), query_positions=places)
    assert part(states, given).shape == (2, 131, HIDDEN)


class ByContent(Position):
    def content_bias(self, query: Tensor, key: Tensor, *_: Tensor) -> Tensor:
        return query @ key.mT


@pytest.mark.parametrize("placing", [position.alibi()(dimensions()), ByContent()])
def test_a_position_that_needs_scores_is_refused(placing: Position) -> None:
    assert placing.acts_on_scores()
    with pytest.raises(ConfigError) as caught:
        attending().check_position(placing)
    assert str(caught.value) == (
        f"{type(placing).__name__} adds to the scores of queries and keys, but LinearAttention has running "
        "sums in their place; choose position rope, learned, sinusoidal or none, or attention mha."
    )


def test_a_position_that_lengthens_is_refused() -> None:
    yarn = scaling.yarn(factor=16.0, original_max_seq_len=100)
    with pytest.raises(ConfigError, match="set attention_factor to 1, or choose attention mha"):
        attending().check_position(position.rope(scaling=yarn)(dimensions()))
    plain = scaling.yarn(factor=16.0, original_max_seq_len=100, attention_factor=1.0)
    attending().check_position(position.rope(scaling=plain)(dimensions()))


@pytest.mark.parametrize("name", ["rope", "learned", "sinusoidal", "none"])
def test_a_position_that_needs_none_is_welcome(name: str) -> None:
    placing = getattr(position, name)()(dimensions())
    attending().check_position(placing)
    assert not placing.acts_on_scores()
    assert placing.acts_in_attention() == (name == "rope")


WINDOW = "window; choose attention sliding_window."
RULE = "rule; choose attention mha."
ONE_SUM = "LinearAttention has one sum of "


@pytest.mark.parametrize(
    ("mask", "more", "sentence"),
    [
        (
            AttentionMask(window=3),
            {},
            f"{ONE_SUM}all that stands before a query, so its mask cannot have a {WINDOW}",
        ),
        (
            AttentionMask(is_causal=True, rule=lambda query, key: query != key + 1),
            {},
            f"{ONE_SUM}all that stands before a query, so its mask cannot have a {RULE}",
        ),
        (
            AttentionMask(is_causal=True),
            {"memory": torch.randn(2, 7, HIDDEN, dtype=F64)},
            f"{ONE_SUM}another sequence for all queries, so none of that sequence can come later; "
            "choose attention mha.",
        ),
    ],
)
def test_masks_that_are_refused(mask: AttentionMask, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        attending()(torch.randn(2, 7, HIDDEN, dtype=F64), context(7, mask, **more))
    assert str(caught.value) == sentence


def test_weights_of_what_a_cache_holds_are_refused() -> None:
    net, ids = backbone(attention=attention.linear()), tokens()
    cache = net.new_cache()
    net(ids, cache=cache, weights=[])  # nothing was in it
    with pytest.raises(ConfigError) as caught:
        net(ids[:, :1], cache=cache, weights=[])
    assert str(caught.value) == (
        "LinearAttention remembers sums and no single token, so a cache leaves no attention weights to show; "
        "leave out one of the two."
    )
