"""What reads the hidden states."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lightformer import norm
from lightformer.heads import Pooler, Pooling, TokenHead, pool
from lightformer.tasks import BertPretraining, CausalLM, MaskedLM, Task
from lightformer.vocabulary import Vocabulary
from tests.variants import HIDDEN, VOCAB, close, config

SIDES = {
    "right": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).bool(),
    "left": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]).bool(),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_pooling_leaves_padding_out(side: str, pooling: Pooling) -> None:
    states, mask = torch.randn(3, 5, HIDDEN), SIDES[side]
    found = pool(states, mask, pooling)
    for row in range(3):
        read = states[row][mask[row]]
        expected = {"first": read[0], "mean": read.mean(dim=0), "last": read[-1]}[pooling]
        close(found[row], expected, 1e-6)


@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_pooling_of_whole_rows(pooling: Pooling) -> None:
    states = torch.randn(3, 5, HIDDEN)
    whole = torch.ones(3, 5, dtype=torch.bool)
    close(pool(states, None, pooling), pool(states, whole, pooling), 1e-6)


def test_a_row_of_padding_is_finite() -> None:
    mask = torch.zeros(3, 5, dtype=torch.bool)
    assert pool(torch.randn(3, 5, HIDDEN), mask, "mean").isfinite().all()


def test_pooler_of_bert() -> None:
    states, pooler = torch.randn(2, 5, HIDDEN), Pooler(HIDDEN)
    assert pooler.dense is not None
    close(
        pooler(states), torch.tanh(states[:, 0] @ pooler.dense.weight.T + pooler.dense.bias), 1e-6
    )
    assert Pooler(HIDDEN, dense=False)(states).equal(states[:, 0])


def test_a_tied_head_is_the_embedding() -> None:
    embedding, states = nn.Embedding(VOCAB, HIDDEN), torch.randn(2, 5, HIDDEN)
    head = TokenHead(embedding)
    close(head(states), states @ embedding.weight.T, 1e-6)
    torch.nn.init.normal_(embedding.weight)
    close(head(states), states @ embedding.weight.T, 1e-6)
    assert not list(head.parameters())


def test_a_copy_of_a_tied_model_is_tied_to_its_own_embedding() -> None:
    embedding, states = nn.Embedding(VOCAB, HIDDEN), torch.randn(2, 5, HIDDEN)
    model = nn.ModuleDict({"embedding": embedding, "head": TokenHead(embedding)})
    other: Any = copy.deepcopy(model)
    torch.nn.init.zeros_(other.embedding.weight)
    assert not other["head"](states).any()
    assert model["head"](states).any()


def test_an_untied_head_has_its_own_matrix() -> None:
    embedding = nn.Embedding(VOCAB, HIDDEN)
    head = TokenHead(embedding, tied=False, bias=True)
    states = torch.randn(2, 5, HIDDEN)
    before = head(states)
    torch.nn.init.zeros_(embedding.weight)
    assert head(states).equal(before)
    assert sum(p.numel() for p in head.parameters()) == VOCAB * HIDDEN + VOCAB


def test_the_head_of_bert_transforms_first() -> None:
    embedding, states = nn.Embedding(VOCAB, HIDDEN), torch.randn(2, 5, HIDDEN)
    head = TokenHead(embedding, bias=True, norm=norm.layer_norm()(HIDDEN))
    assert head.dense is not None
    inner = nn.functional.layer_norm(
        nn.functional.gelu(states @ head.dense.weight.T + head.dense.bias), (HIDDEN,)
    )
    assert head.bias is not None
    torch.nn.init.normal_(head.bias)
    close(head(states), inner @ embedding.weight.T + head.bias, 1e-5)


NARROW = 5


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_for_narrow_embeddings(tied: bool) -> None:
    embedding, states = nn.Embedding(VOCAB, NARROW), torch.randn(2, 5, HIDDEN)
    head = TokenHead(embedding, hidden_size=HIDDEN, tied=tied)
    assert head.dense is not None
    assert head.dense.bias is None  # it would give each token a score of its own
    matrix = embedding.weight if head.decoder is None else head.decoder.weight
    close(head(states), states @ head.dense.weight.T @ matrix.T, 1e-5)
    own = 0 if tied else VOCAB * NARROW
    assert sum(p.numel() for p in head.parameters()) == HIDDEN * NARROW + own


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_of_albert(tied: bool) -> None:
    embedding, states = nn.Embedding(VOCAB, NARROW), torch.randn(2, 5, HIDDEN)
    scale = norm.layer_norm()(NARROW)
    head = TokenHead(embedding, hidden_size=HIDDEN, tied=tied, bias=True, norm=scale)
    assert head.dense is not None
    assert head.bias is not None
    nn.init.normal_(head.bias)
    inner = nn.functional.gelu(states @ head.dense.weight.T + head.dense.bias)
    inner = nn.functional.layer_norm(inner, (NARROW,))
    matrix = embedding.weight if head.decoder is None else head.decoder.weight
    close(head(states), inner @ matrix.T + head.bias, 1e-5)


@pytest.mark.parametrize("make", [CausalLM, MaskedLM, BertPretraining])
@pytest.mark.parametrize("tied", [True, False])
def test_every_token_task_takes_narrow_embeddings(make: type[Task], tied: bool) -> None:
    sizes = config(embedding_size=NARROW, num_layer_groups=1, num_segments=2)
    task: Any = make(vocabulary=Vocabulary(size=VOCAB), backbone=sizes, tied=tied)
    scores = task(torch.randint(0, VOCAB, (2, 7)))
    assert scores.shape == (2, 7, VOCAB)
    (scores * torch.randn_like(scores)).sum().backward()
    token = task.backbone.embeddings.token.weight
    assert token.shape == (VOCAB, NARROW)
    matrices = [p for p in task.parameters() if p.shape == token.shape]
    assert len(matrices) == (1 if tied else 2)
    head = [n for n, p in task.head.named_parameters() if p.grad is None or not p.grad.any()]
    assert not head
    again: Any = type(task)(**task.hparams)
    again.load_state_dict(task.state_dict())
    assert again.eval()(torch.zeros(1, 3).long()).equal(task.eval()(torch.zeros(1, 3).long()))
