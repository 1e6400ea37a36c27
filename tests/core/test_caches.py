"""What a backbone remembers, and how much room that takes; what it starts from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightformer import Backbone, attention
from lightformer.cache import KeyValueCache
from lightformer.registry import Spec
from tests.variants import VOCAB, backbone, close, config, tokens, variants


@torch.no_grad()
@pytest.mark.parametrize(
    "spec", [v for v in variants("attention") if v.values[0].name == "sliding_window"]
)
def test_the_cache_of_a_window_stays_small(spec: Spec) -> None:
    net, ids = backbone(attention=spec, max_seq_len=1000), tokens(seq=101)
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


@torch.no_grad()
def test_a_cached_decoder_reads_its_memory_once() -> None:
    net, ids = backbone(attention=attention.gqa(num_kv_heads=2), has_memory=True), tokens()
    given = {
        "memory": torch.randn(2, 11, 14, dtype=torch.float64),
        "memory_mask": torch.rand(2, 11) > 0.4,
    }
    expected, cache, read = net(ids, **given), net.new_cache(), list[int]()
    net.blocks[0].cross_attention.key.register_forward_hook(lambda *_: read.append(1))
    found = [net(ids[:, i : i + 1], cache=cache, **given) for i in range(ids.shape[1])]
    close(torch.cat(found, dim=1), expected)
    assert read == [1]


@torch.no_grad()
@pytest.mark.parametrize("part", [attention.mha(), attention.linear()], ids=["mha", "linear"])
def test_the_rows_of_a_packed_cache_can_be_chosen(part: Spec) -> None:
    """Each goes on with its own last document, where its positions stand."""
    net, ids = backbone(attention=part, max_seq_len=100), tokens(seq=89)
    documents = torch.zeros(2, 89, dtype=torch.long)
    documents[0, 70:], documents[1, 3:] = 1, 2
    cache, rows = net.new_cache(), torch.tensor([1, 0, 1])
    net(ids[:, :83], document_ids=documents[:, :83], cache=cache)
    cache.select(rows)
    found = net(ids[rows, 83:], cache=cache)
    close(found[0], net(ids[1:, 3:])[0, 80:])
    close(found[1], net(ids[:1, 70:])[0, 13:])
    close(found[2], found[0])


def test_a_fresh_model_is_made_by_the_seed() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return Backbone(config(), VOCAB).state_dict()

    one, same, other = weights(1), weights(1), weights(2)
    assert all(one[name].equal(same[name]) for name in one)
    assert not all(one[name].equal(other[name]) for name in one)
