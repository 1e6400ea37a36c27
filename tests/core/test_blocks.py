"""Blocks and stacks of them, compared with torch's own encoder and decoder layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightformer import attention, block, feedforward, norm, position
from lightformer.activations import activation_function
from lightformer.block import Block
from lightformer.errors import ConfigError
from lightformer.registry import Spec
from tests.variants import HIDDEN, INNER, backbone, close, dimensions, enlarge, tokens, variants

F64 = torch.float64
WIDTH, HEADS, DEPTH = 22, 2, 3


def copy_attention(ours: Any, torchs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    torchs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
    torchs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
    torchs.out_proj.load_state_dict(ours.output.state_dict())


@torch.no_grad()
def copy(ours: Block, torchs: Any) -> None:
    """Gives a layer of torch the weights of a block."""
    copy_attention(ours.attention, torchs.self_attn)
    norms = [ours.attention_norm, ours.feedforward_norm]
    if ours.cross_attention is not None:
        copy_attention(ours.cross_attention, torchs.multihead_attn)
        norms.insert(1, ours.cross_attention_norm)
    for number, part in enumerate(norms, start=1):
        getattr(torchs, f"norm{number}").load_state_dict(part.state_dict())
    torchs.linear1.load_state_dict(ours.feedforward.input.state_dict())
    torchs.linear2.load_state_dict(ours.feedforward.output.state_dict())


def pair(name: str, layer: Any, stack: Any, *, has_memory: bool) -> tuple[Any, Any]:
    """A stack of ours and one of torch's, with the same weights."""
    first = name == "pre_norm"
    ours = backbone(
        is_causal=has_memory,
        has_memory=has_memory,
        hidden_size=WIDTH,
        num_heads=HEADS,
        head_dim=None,
        num_layers=DEPTH,
        position=position.none(),
        block=getattr(block, name)(),
    )
    plain = layer(WIDTH, HEADS, INNER, 0.0, "gelu", batch_first=True, norm_first=first, dtype=F64)
    last = nn.LayerNorm(WIDTH, dtype=F64) if first else None
    torchs = stack(plain, DEPTH, last)
    for mine, theirs in zip(ours.blocks, torchs.layers, strict=True):
        copy(mine, theirs)
    if last is not None:
        torchs.norm.load_state_dict(ours.norm.state_dict())
    return ours, torchs


def compare(
    ours: Any, torchs: Any, ids: Tensor, given: dict[str, Any], theirs: tuple[Any, ...], **more: Any
) -> None:
    embedded = ours.embeddings.token(ids).detach().requires_grad_()
    found, expected = ours(ids, **given), torchs(embedded, *theirs, **more)
    close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    wanted = torch.zeros_like(ours.embeddings.token.weight)
    wanted.index_put_((ids,), embedded.grad, accumulate=True)
    close(ours.embeddings.token.weight.grad, wanted, 1e-8)
    for mine, other in zip(ours.blocks, torchs.layers, strict=True):
        close(mine.feedforward.input.weight.grad, other.linear1.weight.grad, 1e-8)
        close(mine.attention_norm.weight.grad, other.norm1.weight.grad, 1e-8)
        close(mine.attention.output.bias.grad, other.self_attn.out_proj.bias.grad, 1e-8)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["pre_norm", "post_norm"])
def test_an_encoder_is_that_of_torch(name: str, training: bool) -> None:
    ours, torchs = pair(name, nn.TransformerEncoderLayer, nn.TransformerEncoder, has_memory=False)
    ours.train(training)
    ids, is_token = tokens(), torch.ones(2, 7, dtype=torch.bool)
    compare(ours, torchs, ids, {"attention_mask": is_token}, ())
    is_token[1, 4:] = False
    found = ours(ids, attention_mask=is_token)
    expected = torchs(ours.embeddings.token(ids), src_key_padding_mask=~is_token)
    close(found[is_token], expected[is_token])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["pre_norm", "post_norm"])
def test_a_decoder_is_that_of_torch(name: str, training: bool) -> None:
    ours, torchs = pair(name, nn.TransformerDecoderLayer, nn.TransformerDecoder, has_memory=True)
    ours.train(training)
    memory = torch.randn(2, 11, WIDTH, dtype=F64)
    is_token = torch.rand(2, 11) > 0.4
    compare(
        ours,
        torchs,
        tokens(),
        {"memory": memory, "memory_mask": is_token},
        (memory,),
        tgt_mask=torch.ones(7, 7, dtype=torch.bool).triu(1),
        memory_key_padding_mask=~is_token,
    )


@pytest.mark.parametrize("spec", variants("block"))
def test_dropout_acts_on_what_each_part_adds(spec: Spec) -> None:
    model = backbone(block=spec, dropout=0.4)
    ids = tokens()
    assert not model.train()(ids).equal(model(ids))
    assert model.eval()(ids).equal(model(ids))


class Drop(nn.Module):
    def forward(self, states: Tensor) -> Tensor:
        return states * 0


@pytest.mark.parametrize("spec", variants("block"))
def test_where_all_is_dropped_the_parts_add_nothing(spec: Spec) -> None:
    model, ids = backbone(block=spec, has_memory=True), tokens()
    memory = torch.randn(2, 11, HIDDEN, dtype=F64)
    for layer in model.blocks:
        layer.dropout = Drop()
    before = model(ids, memory=memory)
    for layer in model.blocks:
        for part in (layer.attention, layer.cross_attention, layer.feedforward):
            enlarge(part)
    close(model(ids, memory=memory), before)


@pytest.mark.parametrize("spec", variants("norm"))
def test_norms_forget_the_size(spec: Spec) -> None:
    part = spec(HIDDEN).double()
    states = torch.randn(2, 7, HIDDEN, dtype=F64) * 30
    close(part(states), part(states * 5), 1e-5)
    close(part(states).square().mean(), torch.ones((), dtype=F64), 1e-5)


def test_layer_norm_and_rms_norm_are_their_formulas() -> None:
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    layer, root = (enlarge(spec(HIDDEN).double()) for spec in (norm.layer_norm(), norm.rms_norm()))
    centred = states - states.mean(dim=-1, keepdim=True)
    spread = (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    close(layer(states), centred / spread * layer.weight + layer.bias)
    size = (states.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    close(root(states), states / size * root.weight)
    assert norm.layer_norm(bias=False)(HIDDEN).bias is None


@pytest.mark.parametrize("spec", variants("feedforward"))
def test_feedforwards_change_each_position_on_its_own(spec: Spec) -> None:
    part = enlarge(spec(dimensions()).double())
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    other = states.clone()
    other[:, 3] += 1
    changed = (part(states) != part(other)).any(dim=-1)
    assert changed.tolist() == [[place == 3 for place in range(7)]] * 2


def test_feedforwards_are_their_formulas() -> None:
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    plain = enlarge(feedforward.mlp(activation="relu_squared")(dimensions()).double())
    gated = enlarge(feedforward.gated()(dimensions()).double())
    inner = (states @ plain.input.weight.T + plain.input.bias).clamp(min=0) ** 2
    close(plain(states), inner @ plain.output.weight.T + plain.output.bias)
    gate = states @ gated.gate.weight.T
    inner = gate / (1 + (-gate).exp()) * (states @ gated.input.weight.T)
    close(gated(states), inner @ gated.output.weight.T)


@pytest.mark.parametrize("spec", variants("feedforward"))
def test_feedforward_dropout_acts_in_training_alone(spec: Spec) -> None:
    part = enlarge(type(spec)(**{**spec.options(), "dropout": 0.4})(dimensions()).double())
    states = torch.randn(2, 7, HIDDEN, dtype=F64)
    assert not part.train()(states).equal(part(states))
    assert part.eval()(states).equal(part(states))


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        activation_function("glue")
    assert str(caught.value) == (
        "There is no activation 'glue'. Did you mean 'gelu'? "
        "Known: gelu, gelu_tanh, relu, relu_squared, silu, tanh."
    )


def test_parts_without_bias_have_none() -> None:
    for part in (attention.mha(bias=False), feedforward.mlp(bias=False)):
        assert not [name for name, _ in part(dimensions()).named_parameters() if "bias" in name]
