"""Blocks and stacks of them, compared with torch's own encoder and decoder layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import attention, block, feedforward, norm, position
from lightformer.activations import activation_function
from lightformer.block import Block
from lightformer.errors import ConfigError
from lightformer.norm import Norm
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


def look(part: Any, states: Tensor, source: Tensor, is_causal: bool) -> Tensor:
    """Attention, the naive way: one row, one query and one head at a time."""
    width = part.query.weight.shape[0] // HEADS
    rows = []
    for own_states, own_source in zip(states, source, strict=True):
        query = F.linear(own_states, part.query.weight, part.query.bias)
        key = F.linear(own_source, part.key.weight, part.key.bias)
        value = F.linear(own_source, part.value.weight, part.value.bias)
        gathered = []
        for i in range(len(query)):
            seen, heads = i + 1 if is_causal else len(key), []
            for first in range(0, HEADS * width, width):
                own = slice(first, first + width)
                weights = (key[:seen, own] @ query[i, own] / width**0.5).exp()
                heads.append(weights @ value[:seen, own] / weights.sum())
            gathered.append(torch.cat(heads))
        rows.append(torch.stack(gathered))
    return F.linear(torch.stack(rows), part.output.weight, part.output.bias)


def feed(part: Any, states: Tensor) -> Tensor:
    inner = states @ part.input.weight.T + part.input.bias
    inner = inner * (1 + torch.erf(inner / 2**0.5)) / 2
    return inner @ part.output.weight.T + part.output.bias


def normed(part: Any, states: Tensor) -> Tensor:
    centred = states - states.mean(dim=-1, keepdim=True)
    spread = (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    return centred / spread * part.weight + part.bias


def sandwich(layer: Any, x: Tensor, memory: Tensor | None) -> Tensor:
    """CogView's Sandwich-LN, Gemma 2's pre- and post-norm."""
    inner = normed(layer.attention_norm, x)
    x = x + normed(layer.attention_output_norm, look(layer.attention, inner, inner, True))
    if memory is not None:
        inner = normed(layer.cross_attention_norm, x)
        crossed = look(layer.cross_attention, inner, memory, False)
        x = x + normed(layer.cross_attention_output_norm, crossed)
    changed = feed(layer.feedforward, normed(layer.feedforward_norm, x))
    return x + normed(layer.feedforward_output_norm, changed)


def parallel(layer: Any, x: Tensor, memory: Tensor | None) -> Tensor:
    """PaLM: y = x + MLP(LayerNorm(x)) + Attention(LayerNorm(x))."""
    inner = normed(layer.attention_norm, x)
    y = x + feed(layer.feedforward, inner) + look(layer.attention, inner, inner, True)
    return y if memory is None else y + look(layer.cross_attention, inner, memory, False)


def separate(layer: Any, x: Tensor, memory: Tensor | None) -> Tensor:
    """GPT-NeoX: y = x + Attention(LN1(x)) + FF(LN2(x))."""
    inner = normed(layer.attention_norm, x)
    y = x + look(layer.attention, inner, inner, True)
    if memory is not None:
        y = y + look(layer.cross_attention, normed(layer.cross_attention_norm, x), memory, False)
    return y + feed(layer.feedforward, normed(layer.feedforward_norm, x))


@pytest.mark.parametrize(
    ("spec", "formula", "norms"),
    [
        (block.sandwich(), sandwich, (4, 6)),
        (block.parallel(), parallel, (1, 1)),
        (block.parallel(separate_norms=True), separate, (2, 3)),
    ],
    ids=["sandwich", "parallel", "separate"],
)
@pytest.mark.parametrize("has_memory", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_wiring_is_its_formula(
    spec: Spec, formula: Any, norms: tuple[int, int], has_memory: bool, training: bool
) -> None:
    model = backbone(
        block=spec,
        has_memory=has_memory,
        hidden_size=WIDTH,
        num_heads=HEADS,
        head_dim=None,
        num_layers=DEPTH,
        position=position.none(),
    ).train(training)
    ids = tokens()
    memory = torch.randn(2, 11, WIDTH, dtype=F64) if has_memory else None
    expected = model.embeddings.token(ids)
    for layer in model.blocks:
        assert (
            len([part for part in layer.modules() if isinstance(part, Norm)]) == norms[has_memory]
        )
        expected = formula(layer, expected, memory)
    found, expected = model(ids, memory=memory), normed(model.norm, expected)
    close(found, expected)
    weights, pull = list(model.parameters()), torch.randn_like(found)
    ours, wanted = (torch.autograd.grad(x, weights, pull) for x in (found, expected))
    for one, other in zip(ours, wanted, strict=True):
        close(one, other, 1e-8)


@pytest.mark.parametrize("spec", [norm.layer_norm(), norm.rms_norm()])
def test_norms_forget_the_size(spec: Spec) -> None:
    part = spec(HIDDEN).double()
    states = torch.randn(2, 7, HIDDEN, dtype=F64) * 30
    close(part(states), part(states * 5), 1e-5)
    close(part(states).square().mean(), torch.ones((), dtype=F64), 1e-5)


def test_dyt_is_its_formula() -> None:
    part = norm.dyt(alpha=0.7)(HIDDEN).double()
    states = torch.randn(2, 7, HIDDEN, dtype=F64, requires_grad=True)
    twice = torch.exp(2 * part.alpha * states)
    close(part(states), (twice - 1) / (twice + 1))
    enlarge(part)
    squashed = torch.tanh(part.alpha * states)
    close(part(states), part.weight * squashed + part.bias)
    pull, slope = torch.randn_like(squashed), 1 - squashed**2
    weights = [states, part.alpha, part.weight, part.bias]
    of_states, of_alpha, of_weight, of_bias = torch.autograd.grad(part(states), weights, pull)
    close(of_states, pull * part.weight * part.alpha * slope)
    close(of_alpha, (pull * part.weight * states * slope).sum()[None])
    close(of_weight, (pull * squashed).sum(dim=(0, 1)))
    close(of_bias, pull.sum(dim=(0, 1)))


def test_dyt_starts_as_told() -> None:
    part = norm.dyt()(HIDDEN)
    assert part.alpha.tolist() == [
        0.5
    ]  # with a dimension: a scalar could not be divided over ranks
    assert (part.weight == 1).all()
    assert not part.bias.any()
    assert norm.dyt(alpha=0.25)(HIDDEN).alpha.tolist() == [0.25]


def test_dyt_without_a_slope_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        norm.dyt(alpha=0.0)(HIDDEN)
    assert str(caught.value) == "alpha must be above 0, but is 0.0."


@pytest.mark.parametrize("wiring", variants("block"))
@pytest.mark.parametrize("scale", variants("norm"))
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_every_norm_works_in_every_wiring(wiring: Spec, scale: Spec, dtype: torch.dtype) -> None:
    model = backbone(block=wiring, norm=scale, has_memory=True).to(dtype)
    found = model(tokens(), memory=torch.randn(2, 11, HIDDEN, dtype=dtype))
    assert found.dtype == dtype
    (found * torch.randn_like(found)).sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(name.endswith("attention.key.bias") for name in silent)


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
