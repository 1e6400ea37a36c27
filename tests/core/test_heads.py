"""What reads the hidden states."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lightformer import norm
from lightformer.heads import Pooler, Pooling, TokenHead, pool
from tests.variants import HIDDEN, VOCAB, close

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
