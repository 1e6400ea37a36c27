"""The stack: patterns, what is shared, an encoder-decoder, and what is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import Backbone, BackboneConfig, attention, block, feedforward, position
from lightformer.attention import Attention, AttentionContext
from lightformer.backbone_config import LayerPattern
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import make_spec
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
        ({"embedding_size": 0}, "embedding_size must be at least 1, but is 0."),
        ({"num_layer_groups": 0}, "num_layer_groups must be at least 1, but is 0."),
        (
            {"num_layers": 12, "num_layer_groups": 5},
            "num_layers must be a multiple of num_layer_groups, but 12 is not one of 5.",
        ),
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


class EndsSoon(Position):
    """A bias that knows five positions."""

    longest = 5

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return (query_positions[:, None, :, None] - key_positions[:, None, None, :]).double()


def test_the_first_position_to_end_counts() -> None:
    soon = make_spec("position", "ends_soon", EndsSoon)()
    net = backbone(
        position=position.learned(), pattern=[LayerPattern(position=soon), LayerPattern()]
    )
    assert net.longest == 5
    with pytest.raises(ConfigError, match="which is 5, but one has 7 tokens"):
        net(tokens())


def test_segments_without_an_embedding() -> None:
    found = refused(backbone(), tokens(), token_type_ids=torch.zeros(BATCH, SEQ, dtype=torch.long))
    assert found == (
        "The batch has token_type_ids, but the backbone has no segments; set num_segments to 2."
    )


def test_documents_that_come_after_tokens_without_them() -> None:
    net = backbone()
    cache = net.new_cache()
    net(tokens(), cache=cache)
    documents = torch.zeros(BATCH, SEQ, dtype=torch.long)
    assert refused(net, tokens(), document_ids=documents, cache=cache) == (
        "The tokens in the cache were read without document_ids, so that new ones cannot say which of them are "
        "theirs; give document_ids from the first call on, or leave them out."
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


# --- embeddings of another width


def test_narrow_embeddings_are_normalised_and_then_widened() -> None:
    net = backbone(
        num_layers=0,
        num_segments=2,
        scale_embeddings=True,
        norm_embeddings=True,
        embedding_size=5,
        position=position.learned(),
    )
    ids, types = tokens(), torch.randint(0, 2, (BATCH, SEQ))
    parts = net.embeddings
    states = parts.token.weight[ids] * 5**0.5 + parts.segment.weight[types]
    states = states + net.positions[0].embedding.weight[:SEQ]
    states = F.layer_norm(states, (5,), parts.norm.weight, parts.norm.bias)
    expected = states @ parts.projection.weight.T + parts.projection.bias
    close(net(ids, token_type_ids=types), net.norm(expected))
    assert parts.projection.weight.shape == (HIDDEN, 5)


def test_a_position_is_as_wide_as_what_it_is_added_to() -> None:
    net, ids = backbone(num_layers=0, embedding_size=6, position=position.sinusoidal()), tokens()
    waves = torch.tensor(
        [[[at, at / 10_000 ** (1 / 3), at / 10_000 ** (2 / 3)]] for at in range(7)]
    )
    waves = torch.stack((waves.double().sin(), waves.double().cos()), dim=-1).flatten(1)
    states = net.embeddings.token.weight[ids] + waves
    close(net(ids), net.norm(net.embeddings.projection(states)), 1e-6)


def test_dropout_comes_before_the_wide_vectors() -> None:
    net = backbone(num_layers=0, embedding_size=5, dropout=0.4).train()
    seen: list[Tensor] = []
    net.embeddings.projection.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(tokens())
    assert 0 < (seen[0] == 0).double().mean() < 1


@pytest.mark.parametrize("more", [{"embedding_size": HIDDEN}, {"num_layer_groups": 2}])
def test_the_same_size_is_the_same_model(more: dict[str, int]) -> None:
    states = []
    for options in ({}, more):
        torch.manual_seed(5)
        states.append(Backbone(config(**options), VOCAB).state_dict())
    assert list(states[0]) == list(states[1])
    assert all(states[0][name].equal(states[1][name]) for name in states[0])


def test_the_weights_of_albert() -> None:
    """ALBERT base: 11.7 million, where the layers of BERT base alone have 85 million."""
    sizes = BackboneConfig(
        hidden_size=768,
        num_layers=12,
        num_heads=12,
        num_segments=2,
        norm_embeddings=True,
        embedding_size=128,
        num_layer_groups=1,
        position=position.learned(),
        block=block.post_norm(),
    )
    with torch.device("meta"):
        found = sum(p.numel() for p in Backbone(sizes, 30_000).parameters())
    embeddings = 128 * (30_000 + 512 + 2) + 2 * 128 + 128 * 768 + 768
    layer = 4 * (768 * 768 + 768) + 2 * 4 * 768 * 768 + 4 * 768 + 768 + 2 * 2 * 768
    assert found == embeddings + layer == 11_092_992


# --- layers that share a block

SHARED = {"num_layers": 6, "num_layer_groups": 2}


def apart(shared: Backbone) -> Backbone:
    """The same function, with a copy of the weights for each layer."""
    other = Backbone(config(num_layers=6), VOCAB, is_causal=shared.is_causal).double()
    state = {k: v for k, v in shared.state_dict().items() if not k.startswith("blocks.")}
    for i, layer in enumerate(shared.layers()):
        state |= {f"blocks.{i}.{k}": v for k, v in layer.state_dict().items()}
    other.load_state_dict(state)
    return other


def test_layers_in_a_row_share_a_block() -> None:
    net = backbone(**SHARED)
    assert [list(net.blocks).index(layer) for layer in net.layers()] == [0, 0, 0, 1, 1, 1]
    assert sum(p.numel() for p in net.parameters()) == sum(
        p.numel() for p in backbone(num_layers=2).parameters()
    )
    assert list(net.state_dict()) == list(backbone(num_layers=2).state_dict())


def test_shared_layers_do_what_copies_do() -> None:
    net, ids = backbone(**SHARED), tokens()
    other = apart(net)
    found, expected = net(ids), other(ids)
    close(found, expected)
    pull = torch.randn_like(found)
    found.backward(pull)
    expected.backward(pull)
    for name, weight in net.blocks.named_parameters():
        number, _, rest = name.partition(".")
        copies = [other.blocks.get_parameter(f"{3 * int(number) + i}.{rest}") for i in range(3)]
        close(weight.grad, sum(copy.grad for copy in copies), 1e-8)


def test_a_cache_and_weights_for_each_layer_even_where_blocks_are_shared() -> None:
    net, ids = backbone(**SHARED, has_memory=True), tokens()
    memory = torch.randn(BATCH, 11, HIDDEN, dtype=torch.float64)
    weights: list[Tensor] = []
    expected = net(ids, memory=memory, weights=weights)
    assert len(weights) == 6
    assert not weights[0].isclose(weights[1]).all()
    cache = net.new_cache()
    assert len({id(layer) for layer in (*cache.layers, *cache.cross_layers)}) == 12
    pieces = [net(ids[:, i : i + 1], memory=memory, cache=cache) for i in range(SEQ)]
    close(torch.cat(pieces, dim=1), expected)


def test_shared_layers_compile_whole() -> None:
    torch.compiler.reset()
    net, ids = backbone(**SHARED, embedding_size=5, position=position.learned()), tokens()
    close(torch.compile(net, backend="eager", fullgraph=True)(ids), net(ids))


def test_a_copy_of_shared_layers_shares_too() -> None:
    net = copy.deepcopy(backbone(**SHARED))
    assert len(set(map(id, net.layers()))) == len(net.blocks) == 2
    assert net.layers()[0] is net.blocks[0]


def test_a_shared_block_is_told_the_first_of_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    make = attention.mha.part

    def watched(dims: Dimensions, **options: Any) -> Attention:
        seen.append((dims.layer, dims.num_layers))
        return make(dims, **options)

    monkeypatch.setattr(attention.mha, "part", staticmethod(watched))
    Backbone(config(**SHARED), VOCAB)
    assert seen == [(0, 6), (3, 6)]


def test_a_pattern_may_change_between_groups() -> None:
    narrow = LayerPattern(attention=attention.sliding_window(window=2))
    turned = LayerPattern(position=position.rope())
    net = backbone(
        num_layers=4,
        num_layer_groups=2,
        position=position.none(),
        pattern=[narrow, narrow, turned, turned],
    )
    assert [layer.attention.window for layer in net.layers()] == [2, 2, None, None]
    assert [net._position(i) is net.position for i in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        (LayerPattern(attention=attention.sliding_window(window=2)), "attention"),
        (LayerPattern(position=position.alibi()), "position"),
        (LayerPattern(feedforward=feedforward.gated()), "feedforward"),
    ],
)
def test_a_pattern_within_a_group(entry: LayerPattern, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(num_layers=6, num_layer_groups=2, pattern=[LayerPattern()] * 5 + [entry])
    assert str(caught.value) == (
        f"Layers of a group share one block, but the pattern gives layers 3 and 5 of a group a different {part}; "
        "leave out pattern or num_layer_groups, or let the pattern change only from group to group."
    )


RANK = """
import os, sys
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from lightformer import BackboneConfig, block, norm
from lightformer.tasks import MaskedLM
from lightformer.tasks.sharding import shard
from lightformer.vocabulary import Vocabulary

rank = 1 if os.fork() == 0 else 0
dist.init_process_group("gloo", f"file://{sys.argv[1]}", rank=rank, world_size=2)
parts = {"norm": norm.dyt(), "block": block.sandwich()}
sizes = BackboneConfig(
    hidden_size=14, num_heads=2, head_dim=6, num_layers=6, num_layer_groups=2, embedding_size=5, **parts
)
torch.manual_seed(1)
task = MaskedLM(vocabulary=Vocabulary(size=19), backbone=sizes).double()
ids, pull = torch.randint(0, 19, (4, 7)), torch.randn(4, 7, 19, dtype=torch.float64)

def gradients(rows):
    (task(ids[rows]) * pull[rows]).sum().backward()
    return {name: p.grad for name, p in task.named_parameters()}

whole = {name: grad.clone() / 2 for name, grad in gradients(slice(4)).items()}
task.zero_grad()
shard(task.backbone, [task.head], init_device_mesh("cpu", (2,)))
gradients(slice(2 * rank, 2 * rank + 1))
found = gradients(slice(2 * rank + 1, 2 * rank + 2))
assert set(found) == set(whole)
for name, grad in found.items():
    torch.testing.assert_close(grad.full_tensor(), whole[name], rtol=1e-9, atol=1e-9)
dist.destroy_process_group()
print("equal", len(found), flush=True)
if rank == 0:
    assert os.wait()[1] == 0
"""


def test_shared_layers_can_be_divided_over_ranks(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RANK, str(tmp_path / "meeting")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal") == 2


# --- an encoder-decoder with packed rows


def test_packed_documents_see_their_own_memory() -> None:
    net, ids = backbone(has_memory=True), tokens(seq=11)
    memory = torch.randn(BATCH, 13, HIDDEN, dtype=torch.float64)
    documents = torch.tensor([[0] * 4 + [1] * 5 + [2] * 2, [3] * 1 + [5] * 10])
    sources = torch.tensor([[0] * 3 + [1] * 8 + [2] * 2, [3] * 7 + [5] * 6])
    is_memory = torch.ones(BATCH, 13, dtype=torch.bool)
    is_memory[1, 11:] = False
    packed = net(
        ids,
        document_ids=documents,
        memory=memory,
        memory_mask=is_memory,
        memory_document_ids=sources,
    )
    assert packed.isfinite().all()
    for row, number in ((0, 0), (0, 1), (0, 2), (1, 3), (1, 5)):
        own, source = documents[row] == number, (sources[row] == number) & is_memory[row]
        alone = net(ids[row, own][None], memory=memory[row, source][None])
        close(packed[row, own], alone[0])


def test_a_document_without_memory_sees_none() -> None:
    net, ids = backbone(has_memory=True), tokens()
    memory = torch.randn(BATCH, 5, HIDDEN, dtype=torch.float64, requires_grad=True)
    given = {
        "document_ids": torch.tensor([[0, 0, 0, 1, 1, 1, 1]]).expand(BATCH, -1),
        "memory_document_ids": torch.zeros(BATCH, 5, dtype=torch.long),
    }
    net(ids, memory=memory, **given)[:, 3:].sum().backward()
    assert not memory.grad.any()


def test_packed_rows_need_both_kinds_of_documents() -> None:
    net, ids = backbone(has_memory=True), tokens()
    memory = torch.randn(BATCH, 5, HIDDEN, dtype=torch.float64)
    zeros = torch.zeros(BATCH, SEQ, dtype=torch.long)
    sentence = (
        "Where rows are packed, each document sees the memory of its own, which takes document_ids and "
        "memory_document_ids, but only {} were given; give both, or neither."
    )
    assert refused(net, ids, memory=memory, document_ids=zeros) == sentence.format("document_ids")
    found = refused(net, ids, memory=memory, memory_document_ids=zeros[:, :5])
    assert found == sentence.format("memory_document_ids")
    assert refused(net, ids, memory_document_ids=zeros[:, :5]) == (
        "There are memory_document_ids, but no memory; give memory as well."
    )


# --- what is refused


def test_a_cache_of_a_backbone_that_looks_to_both_sides() -> None:
    with pytest.raises(ConfigError) as caught:
        backbone(is_causal=False).new_cache()
    assert str(caught.value) == (
        "A cache needs a causal backbone, but this one looks to both sides, so that each new token changes what is "
        "known of all before it; set is_causal to true, or read all tokens again at each step."
    )
    assert backbone(has_memory=True).new_cache() is not None


OUT_OF_RANGE = [
    (
        "input_ids",
        19,
        "input_ids must be at least 0 and below vocab_size, which is 19, but one is {}; use the tokenizer that the "
        "model was trained with.",
    ),
    (
        "token_type_ids",
        3,
        "token_type_ids must be at least 0 and below num_segments, which is 3, but one is {}; raise num_segments.",
    ),
    (
        "position_ids",
        23,
        "position_ids must be at least 0 and below max_seq_len, which is 23, but one is {}; raise max_seq_len, or "
        "choose a position without an end (rope, alibi).",
    ),
]


@pytest.mark.parametrize(("name", "size", "sentence"), OUT_OF_RANGE)
@pytest.mark.parametrize("training", [False, True])
def test_ids_that_are_out_of_range(name: str, size: int, sentence: str, training: bool) -> None:
    net = backbone(num_segments=3, position=position.learned()).train(training)
    given = {key: torch.zeros(BATCH, SEQ, dtype=torch.long) for key, *_ in OUT_OF_RANGE}
    for wrong in (size, size + 5, -1):
        given[name][1, 4] = wrong
        assert refused(net, given["input_ids"], **without_ids(given)) == sentence.format(wrong)
    given[name][1, 4] = size - 1
    assert net(given["input_ids"], **without_ids(given)).isfinite().all()


def without_ids(given: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in given.items() if key != "input_ids"}


def test_an_error_of_a_position_keeps_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Position, position_ids: Tensor) -> Tensor:
        raise IndexError("list index out of range")

    net = backbone(num_segments=3, position=position.learned())
    monkeypatch.setattr(type(net.position), "embed", broken)
    with pytest.raises(IndexError, match="list index out of range"):
        net(tokens(), token_type_ids=torch.ones(BATCH, SEQ, dtype=torch.long))
