"""What every attention promises with every position, through a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lightformer import Backbone, position
from lightformer.cache import KeyValueCache
from lightformer.registry import Spec
from tests.variants import (
    LAYERS,
    SEQ,
    VOCAB,
    backbone,
    close,
    config,
    tokens,
    variants,
    works_together,
)

FIRST = {param.values[0].name: param for param in reversed(variants("attention"))}
PAIRS = [
    pytest.param(a.values[0], p.values[0], id=f"{a.id}-{p.id}")
    for a in FIRST.values()
    for p in variants("position")
    if works_together(a.values[0], p.values[0])
]
every_pair = pytest.mark.parametrize(("attention", "placing"), PAIRS)


def model(attention: Spec, placing: Spec, **more: Any) -> Backbone:
    return backbone(attention=attention, position=placing, **more)


def padded(ids: Tensor, left: int, right: int) -> tuple[Tensor, Tensor]:
    """The rows with some tokens around them, and which are no padding."""
    shape = (len(ids), left + ids.shape[1] + right)
    wide, is_token = torch.randint(0, VOCAB, shape), torch.zeros(shape, dtype=torch.bool)
    wide[:, left : left + ids.shape[1]] = ids
    is_token[:, left : left + ids.shape[1]] = True
    return wide, is_token


@every_pair
def test_a_causal_model_is_blind_to_what_comes_later(attention: Spec, placing: Spec) -> None:
    net, ids = model(attention, placing), tokens()
    other = ids.clone()
    other[:, 4:] = (other[:, 4:] + 1) % VOCAB
    close(net(ids)[:, :4], net(other)[:, :4])
    assert not net(ids)[:, 4:].isclose(net(other)[:, 4:]).all()


@every_pair
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("left", "right"), [(0, 3), (4, 0)])
def test_padding_changes_nothing(
    attention: Spec, placing: Spec, is_causal: bool, left: int, right: int
) -> None:
    net, ids = model(attention, placing, is_causal=is_causal), tokens()
    wide, is_token = padded(ids, left, right)
    found = net(wide, attention_mask=is_token)
    close(found[:, left : left + SEQ], net(ids))
    assert found.isfinite().all()


@every_pair
def test_a_batch_equals_its_rows(attention: Spec, placing: Spec) -> None:
    net, ids = model(attention, placing), tokens(batch=3)
    is_token = torch.ones_like(ids, dtype=torch.bool)
    is_token[1, 5:] = False
    together = net(ids, attention_mask=is_token)
    for row, length in enumerate((7, 5, 7)):
        close(together[row, :length], net(ids[row : row + 1, :length])[0])


@every_pair
@pytest.mark.parametrize("is_causal", [False, True])
def test_packed_documents_equal_separate_ones(
    attention: Spec, placing: Spec, is_causal: bool
) -> None:
    net, ids = model(attention, placing, is_causal=is_causal), tokens(seq=11)
    documents = torch.tensor([[0] * 4 + [1] * 5 + [2] * 2, [3] * 1 + [5] * 10])
    packed = net(ids, document_ids=documents)
    for row, start, stop in ((0, 0, 4), (0, 4, 9), (0, 9, 11), (1, 0, 1), (1, 1, 11)):
        close(packed[row, start:stop], net(ids[row : row + 1, start:stop])[0])


def in_pieces(
    net: Backbone, ids: Tensor, sizes: tuple[int, ...], is_token: Tensor | None, **more: Any
) -> Iterator[Tensor]:
    """Hidden states by way of a cache, as many tokens at a time as told."""
    cache, start = net.new_cache(), 0
    for size in sizes:
        piece = slice(start, start + size)
        mask = None if is_token is None else is_token[:, piece]
        yield net(ids[:, piece], attention_mask=mask, cache=cache, **more)
        start += size


@every_pair
@pytest.mark.parametrize("sizes", [(4, 1, 1, 1, 1, 1, 1, 1), (1,) * 11, (5, 3, 3)])
@pytest.mark.parametrize("is_padded", [False, True])
@torch.no_grad()
def test_cached_equals_uncached(
    attention: Spec, placing: Spec, sizes: tuple[int, ...], is_padded: bool
) -> None:
    net, ids = model(attention, placing), tokens(seq=11)
    is_token = None
    if is_padded:
        is_token = torch.ones_like(ids, dtype=torch.bool)
        is_token[1, :2] = False
    found = torch.cat(list(in_pieces(net, ids, sizes, is_token)), dim=1)
    expected = net(ids, attention_mask=is_token)
    wanted = torch.ones_like(ids, dtype=torch.bool) if is_token is None else is_token
    close(found[wanted], expected[wanted])


@every_pair
@torch.no_grad()
def test_a_cached_prefix_is_seen_by_all_of_it(attention: Spec, placing: Spec) -> None:
    net, ids, lengths = model(attention, placing), tokens(), torch.tensor([3, 1])
    pieces = in_pieces(net, ids, (4, 1, 2), None, prefix_lengths=lengths)
    expected = net(ids, prefix_lengths=lengths)
    close(torch.cat(list(pieces), dim=1), expected)
    close(expected[1], net(ids)[1])


@every_pair
@torch.no_grad()
def test_the_rows_of_a_cache_can_be_chosen(attention: Spec, placing: Spec) -> None:
    net, ids, rows = model(attention, placing), tokens(batch=3), torch.tensor([2, 0, 0, 1])
    is_token = torch.ones_like(ids, dtype=torch.bool)
    is_token[2, :2] = False
    cache = net.new_cache()
    net(ids[:, :4], attention_mask=is_token[:, :4], cache=cache)
    cache.select(rows)
    found = net(ids[rows, 4:], attention_mask=is_token[rows, 4:], cache=cache)
    close(found, net(ids[rows], attention_mask=is_token[rows])[:, 4:])


def swapped(row: Tensor) -> Tensor:
    return row[:, [4, 1, 2, 3, 0, 5, 6]]


@every_pair
def test_order_matters_with_a_position_alone(attention: Spec, placing: Spec) -> None:
    options = attention.options()
    if "window" in options:
        attention = type(attention)(**{**options, "window": SEQ})
    net, ids = model(attention, placing, is_causal=False), torch.arange(SEQ)[None]
    same = net(swapped(ids)).isclose(swapped(net(ids))).all()
    assert bool(same) == (placing.name == "none")


@every_pair
@pytest.mark.parametrize("wiring", variants("block"))
def test_every_parameter_has_a_gradient(attention: Spec, placing: Spec, wiring: Spec) -> None:
    net = model(attention, placing, block=wiring, num_segments=2, norm_embeddings=True).train()
    net(tokens(), token_type_ids=torch.randint(0, 2, (2, SEQ))).square().sum().backward()
    lacking = [
        n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert not lacking
    silent = [n for n, p in net.named_parameters() if p.grad is not None and not p.grad.any()]
    # adding one number to every score changes no softmax
    assert all(name.endswith("attention.key.bias") for name in silent)


@every_pair
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("training", [False, True])
def test_the_dtype_is_kept(
    attention: Spec, placing: Spec, dtype: torch.dtype, training: bool
) -> None:
    net = model(attention, placing, dropout=0.1).to(dtype).train(training)
    is_token = torch.ones(2, SEQ, dtype=torch.bool)
    assert net(tokens(), attention_mask=is_token).dtype == dtype
    assert net(tokens()).dtype == dtype


ONE_OF_EACH = [p for p in PAIRS if p.values[0].name == "mha" or p.values[1].name == "alibi"]


@pytest.mark.parametrize(("attention", "placing"), ONE_OF_EACH)
def test_it_compiles_whole(attention: Spec, placing: Spec) -> None:
    torch.compiler.reset()
    net, ids = model(attention, placing), tokens()
    is_token = torch.ones_like(ids, dtype=torch.bool)
    is_token[1, 5:] = False
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    close(compiled(ids, attention_mask=is_token), net(ids, attention_mask=is_token))


@every_pair
def test_its_state_goes_round(attention: Spec, placing: Spec) -> None:
    one, other = model(attention, placing), model(attention, placing)
    ids = tokens()
    assert not one(ids).isclose(other(ids)).all()
    other.load_state_dict(one.state_dict())
    assert one(ids).equal(other(ids))


@every_pair
def test_weights_come_one_a_layer(attention: Spec, placing: Spec) -> None:
    net, ids = model(attention, placing), tokens()
    weights: list[Tensor] = []
    close(net(ids, weights=weights), net(ids))
    assert len(weights) == LAYERS


@torch.no_grad()
@pytest.mark.parametrize(
    "spec", [v for v in variants("attention") if v.values[0].name == "sliding_window"]
)
def test_the_cache_of_a_window_stays_small(spec: Spec) -> None:
    net, ids = model(spec, position.rope(), max_seq_len=1000), tokens(seq=101)
    cache = net.new_cache()
    window = spec.options()["window"]
    for place in range(101):
        net(ids[:, place : place + 1], cache=cache)
        for layer in cache.layers:
            assert isinstance(layer, KeyValueCache)
            assert layer.length <= window
            assert layer.key is not None
            assert layer.key.shape[2] <= 2 * window + 1


@torch.no_grad()
def test_a_cache_grows_by_doubling() -> None:
    net, ids = backbone(max_seq_len=1000), tokens(seq=101)
    cache, rooms = net.new_cache(), set()
    for place in range(101):
        net(ids[:, place : place + 1], cache=cache)
        layer = cache.layers[0]
        assert isinstance(layer, KeyValueCache)
        assert layer.key is not None
        rooms.add(layer.key.shape[2])
    assert len(rooms) < 10
    assert cache.length == layer.length == 101


@every_pair
@torch.no_grad()
def test_a_cached_decoder_reads_its_memory_once(
    attention: Spec, placing: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, ids = model(attention, placing, has_memory=True), tokens()
    memory, is_memory = torch.randn(2, 11, 14, dtype=torch.float64), torch.rand(2, 11) > 0.4
    given = {"memory": memory, "memory_mask": is_memory}
    expected = net(ids, **given)
    read: list[int] = []
    reader = net.blocks[0].cross_attention.key
    reader.register_forward_hook(lambda *_: read.append(1))
    close(torch.cat(list(in_pieces(net, ids, (3, 1, 1, 2), None, **given)), dim=1), expected)
    assert read == [1]


def test_a_fresh_model_is_made_by_the_seed() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return Backbone(config(), VOCAB).state_dict()

    one, same, other = weights(1), weights(1), weights(2)
    assert all(one[name].equal(same[name]) for name in one)
    assert not all(one[name].equal(other[name]) for name in one)
