"""The stack: patterns, what is shared, an encoder-decoder, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import Backbone, BackboneConfig, attention, feedforward, position
from lightformer.attention import Attention, AttentionContext
from lightformer.backbone_config import LayerPattern
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from tests.variants import BATCH, HIDDEN, SEQ, VOCAB, backbone, close, config, tokens


def test_a_pattern_repeats_over_the_depth() -> None:
    net = backbone(
        num_layers=5,
        position=position.alibi(),
        pattern=[
            LayerPattern(attention=attention.sliding_window(window=2)),
            LayerPattern(position=position.rope(), feedforward=feedforward.gated()),
            LayerPattern(),
        ],
    )
    assert [block.attention.window for block in net.blocks] == [2, None, None, 2, None]
    assert [net._position(i) is net.positions[0] for i in range(5)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert [hasattr(block.feedforward, "gate") for block in net.blocks] == [0, 1, 0, 0, 1]
    assert len(net.positions) == 2


def test_what_a_position_computes_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = backbone(
        num_layers=5,
        position=position.alibi(),
        pattern=[LayerPattern(), LayerPattern(position=position.rope())],
    )
    calls = []
    once = type(net.positions[0]).bias
    monkeypatch.setattr(
        type(net.positions[0]), "bias", lambda *given: calls.append(given) or once(*given)
    )
    ids = tokens()
    first = net(ids)
    assert len(calls) == 1
    close(net(ids), first)
    assert len(calls) == 2


def test_a_shared_position_is_one_module() -> None:
    net = backbone(num_layers=5, position=position.alibi())
    assert len({id(net._position(i)) for i in range(5)}) == 1


def test_explicit_positions_are_those_that_count() -> None:
    net, ids = backbone(position=position.learned()), tokens()
    given = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
    close(net(ids, position_ids=torch.arange(SEQ)[None]), net(ids))
    assert not net(ids, position_ids=given).isclose(net(ids)).all()


def test_a_rule_of_the_users_narrows_the_mask() -> None:
    net, ids = backbone(is_causal=False), tokens()
    close(net(ids, rule=lambda query, key: key <= query), backbone_of(net, True)(ids))


def backbone_of(net: Backbone, is_causal: bool) -> Backbone:
    other = Backbone(net.config, VOCAB, is_causal=is_causal).double()
    other.load_state_dict(net.state_dict())
    return other


def test_a_prefix_is_seen_by_all() -> None:
    net, ids = backbone(), tokens()
    whole = net(ids, prefix_lengths=torch.tensor([SEQ, 0]))
    close(whole[0], backbone_of(net, False)(ids)[0])
    close(whole[1], net(ids)[1])


def test_embeddings_add_up() -> None:
    net = backbone(num_layers=0, num_segments=2, scale_embeddings=True, position=position.learned())
    ids, types = tokens(), torch.randint(0, 2, (BATCH, SEQ))
    parts = net.embeddings
    states = parts.token.weight[ids] * HIDDEN**0.5 + parts.segment.weight[types]
    expected = net.norm(states + net.positions[0].embedding.weight[:SEQ])
    close(net(ids, token_type_ids=types), expected)
    close(net(ids), net(ids, token_type_ids=torch.zeros_like(ids)))


def test_the_number_of_parameters_is_fixed() -> None:
    net = Backbone(
        BackboneConfig(
            hidden_size=128,
            num_layers=4,
            num_heads=4,
            max_seq_len=64,
            position=position.learned(),
        ),
        65,
    )
    layer = 4 * (128 * 128 + 128) + 2 * 4 * 128 * 128 + 4 * 128 + 128 + 2 * 2 * 128
    expected = 65 * 128 + 64 * 128 + 4 * layer + 2 * 128
    assert sum(p.numel() for p in net.parameters()) == expected == 809_856


def test_the_config_decides_on_causality_unless_the_caller_does() -> None:
    assert Backbone(config(is_causal=True), VOCAB).is_causal
    assert not Backbone(config(), VOCAB).is_causal
    assert not Backbone(config(is_causal=True), VOCAB, is_causal=False).is_causal


def test_padding_of_the_memory_changes_nothing() -> None:
    net, ids = backbone(has_memory=True), tokens()
    memory = torch.randn(BATCH, 11, HIDDEN, dtype=torch.float64)
    is_token = torch.arange(11) < torch.tensor([[4], [11]])
    found = net(ids, memory=memory, memory_mask=is_token)
    close(found[:1], net(ids[:1], memory=memory[:1, :4]))
    close(found[1:], net(ids[1:], memory=memory[1:]))
    assert not found.isclose(net(ids, memory=memory.flip(1), memory_mask=is_token)).all()


def test_an_encoder_and_a_decoder_learn_to_copy() -> None:
    sizes = config(hidden_size=32, num_heads=2, num_layers=1, position=position.learned())
    encoder = Backbone(sizes, VOCAB)
    decoder = Backbone(sizes, VOCAB, is_causal=True, has_memory=True)
    head = nn.Linear(32, VOCAB)
    both = nn.ModuleList([encoder, decoder, head])
    optimizer = torch.optim.AdamW(both.parameters(), lr=1e-2)

    def step(ids: Tensor) -> tuple[Tensor, Tensor]:
        started = F.pad(ids[:, :-1], (1, 0), value=0)
        logits = head(decoder(started, memory=encoder(ids)))
        return F.cross_entropy(logits.flatten(0, 1), ids.flatten()), logits.argmax(dim=-1) == ids

    for _ in range(120):
        loss, _ = step(torch.randint(1, VOCAB, (32, 5)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unseen = torch.randint(1, VOCAB, (101, 5))
    assert step(unseen)[1].float().mean() > 0.9


class _NoScores(Attention):
    """An attention that has no scores, as a user might write one."""

    def __init__(self, dims: Dimensions, /, **_: Any) -> None:
        super().__init__()

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return hidden_states

    def check_position(self, position: Position) -> None:
        if type(position).bias is not Position.bias:
            raise ConfigError("It has no scores; use position rope.")


def test_an_attention_may_refuse_a_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention.mha, "part", _NoScores)
    Backbone(config(position=position.rope()), VOCAB)
    Backbone(config(position=position.learned()), VOCAB)
    with pytest.raises(ConfigError, match="It has no scores; use position rope"):
        Backbone(config(position=position.alibi()), VOCAB)
    with pytest.raises(ConfigError, match="It has no scores; use position rope"):
        Backbone(config(pattern=[LayerPattern(), LayerPattern(position=position.alibi())]), VOCAB)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (
            {"hidden_size": 100, "num_heads": 12, "head_dim": None},
            "hidden_size must be a multiple of num_heads, but 100 is not one of 12.",
        ),
        ({"num_heads": 0}, "num_heads must be at least 1, but is 0."),
        ({"num_heads": -2}, "num_heads must be at least 1, but is -2."),
        ({"hidden_size": 0}, "hidden_size must be at least 1, but is 0."),
        ({"head_dim": 0}, "head_dim must be at least 1, but is 0."),
        ({"intermediate_size": 0}, "intermediate_size must be at least 1, but is 0."),
        ({"intermediate_size": -3}, "intermediate_size must be at least 1, but is -3."),
        ({"max_seq_len": 0}, "max_seq_len must be at least 1, but is 0."),
        ({"num_layers": -1}, "num_layers must not be negative, but is -1."),
        ({"num_segments": -1}, "num_segments must not be negative, but is -1."),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, but is 1.0."),
    ],
)
def test_sizes_that_cannot_be(sizes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**sizes)
    assert str(caught.value) == sentence


def refused(net: Backbone, ids: Tensor, **given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        net(ids, **given)
    return str(caught.value)


def test_a_sequence_beyond_the_last_position() -> None:
    net = backbone(position=position.learned(), max_seq_len=5)
    sentence = (
        "A sequence must not be longer than max_seq_len, which is 5, but one has {} tokens; raise "
        "max_seq_len, or choose a position without an end (rope, alibi)."
    )
    assert refused(net, tokens()) == sentence.format(7)
    cache = net.new_cache()
    net(tokens(seq=4), cache=cache)
    assert refused(net, tokens(seq=2), cache=cache) == sentence.format(6)
    assert backbone(position=position.rope(), max_seq_len=5)(tokens()).isfinite().all()


def test_segments_without_an_embedding() -> None:
    found = refused(backbone(), tokens(), token_type_ids=torch.zeros(BATCH, SEQ, dtype=torch.long))
    assert found == (
        "The batch has token_type_ids, but the backbone has no segments; set num_segments to 2."
    )


def test_packed_documents_in_a_cache() -> None:
    net = backbone()
    documents = torch.zeros(BATCH, SEQ, dtype=torch.long)
    assert refused(net, tokens(), document_ids=documents, cache=net.new_cache()) == (
        "A cache holds one document a row, but document_ids were given; leave out one of the two."
    )


def test_a_position_of_the_embeddings_in_a_pattern() -> None:
    with pytest.raises(ConfigError) as caught:
        backbone(pattern=[LayerPattern(position=position.learned())])
    assert str(caught.value) == (
        "A pattern cannot have position 'learned', which is added to the embeddings, before all "
        "layers; make it the position of the backbone."
    )
    backbone(position=position.learned(), pattern=[LayerPattern(position=position.learned())])


def test_an_empty_vocabulary() -> None:
    with pytest.raises(ConfigError) as caught:
        Backbone(config(), 0)
    assert str(caught.value) == "vocab_size must be at least 1, but is 0."


def test_dimensions_tell_the_layer() -> None:
    seen: list[Dimensions] = [config(num_layers=3).dimensions(i) for i in range(3)]
    assert [dims.layer for dims in seen] == [0, 1, 2]
    assert config(head_dim=None, num_heads=2).dimensions().head_dim == 7
    assert config(intermediate_size=None).dimensions().intermediate_size == 4 * HIDDEN
