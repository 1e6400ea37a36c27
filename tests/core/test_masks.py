"""Masks, compared with a double loop over queries and keys."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from lightformer.masks import AttentionMask

CPU = torch.device("cpu")


def loop(mask: AttentionMask, batch: int, query_len: int, key_len: int, key_start: int) -> Tensor:
    """What `dense` must say, one pair at a time."""
    allowed = torch.zeros(batch, 1, query_len, key_len, dtype=torch.bool)
    for b in range(batch):
        for i in range(query_len):
            for j in range(key_len):
                query, key = mask.query_start + i, key_start + j
                ok = True
                if mask.is_causal:
                    ok = key <= query
                    if mask.prefix_lengths is not None and key < mask.prefix_lengths[b]:
                        ok = True
                if mask.window is not None:
                    reach = mask.window - 1 if mask.is_causal else mask.window
                    ok = ok and abs(query - key) <= reach
                if mask.is_token is not None:
                    ok = ok and bool(mask.is_token[b, key])
                if mask.query_documents is not None and mask.key_documents is not None:
                    ok = ok and bool(mask.query_documents[b, i] == mask.key_documents[b, key])
                if mask.rule is not None:
                    ok = ok and (query * 3 + key) % 4 != 1
                allowed[b, 0, i, j] = ok
    return allowed


def check(mask: AttentionMask, batch: int, query_len: int, key_len: int, key_start: int) -> None:
    found = mask.dense(query_len, key_len, CPU, key_start)
    if found is None:
        found = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    expected = loop(mask, batch, query_len, key_len, key_start)
    assert torch.equal(found.expand(batch, 1, query_len, key_len), expected)


def fields(seed: int, batch: int, query_len: int, start: int, names: set[str]) -> AttentionMask:
    torch.manual_seed(seed)
    whole = start + query_len
    documents = torch.randint(0, 2, (batch, whole)).cumsum(dim=1)
    packed = "documents" in names
    return AttentionMask(
        is_causal="causal" in names,
        window=3 if "window" in names else None,
        prefix_lengths=torch.randint(0, whole, (batch,)) if "prefix" in names else None,
        is_token=torch.rand(batch, whole) > 0.3 if "padding" in names else None,
        query_documents=documents[:, start:] if packed else None,
        key_documents=documents if packed else None,
        rule=(lambda query, key: (query * 3 + key) % 4 != 1) if "rule" in names else None,
        query_start=start,
    )


RULES = ("causal", "window", "prefix", "padding", "documents", "rule")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("causal", [False, True])
def test_each_rule(name: str, causal: bool) -> None:
    mask = fields(1, 2, 7, 0, {name, "causal"} if causal else {name})
    check(mask, 2, 7, 7, 0)


def test_any_conjunction_of_rules_at_any_offset() -> None:
    draw = random.Random(5)
    for seed in range(150):
        names = {name for name in RULES if draw.random() < 0.5}
        batch, query_len, start = draw.choice((1, 3)), draw.randint(1, 7), draw.randint(0, 5)
        key_start = draw.randint(0, start)
        mask = fields(seed, batch, query_len, start, names)
        check(mask, batch, query_len, start + query_len - key_start, key_start)


def test_window_to_the_left_only_where_causal() -> None:
    last = AttentionMask(is_causal=True, window=2).dense(5, 5, CPU)
    around = AttentionMask(window=2).dense(5, 5, CPU)
    assert last is not None
    assert around is not None
    assert last[0, 0, 3].tolist() == [False, False, True, True, False]
    assert around[0, 0, 2].tolist() == [True, True, True, True, True]
    assert around[0, 0, 0].tolist() == [True, True, True, False, False]


def test_no_square_is_made_where_all_may_look() -> None:
    assert AttentionMask().dense(7, 5, CPU) is None
    assert AttentionMask(is_causal=True, query_start=6).dense(1, 7, CPU) is None
    assert AttentionMask(is_causal=True, query_start=6).dense(1, 6, CPU, key_start=1) is None
    assert AttentionMask(is_causal=True).dense(7, 7, CPU) is not None


def test_plain_causal_is_the_lower_triangle_and_nothing_else() -> None:
    causal = AttentionMask(is_causal=True)
    assert causal.is_plain_causal(7, 7)
    assert AttentionMask(is_causal=True, query_start=2).is_plain_causal(5, 5, key_start=2)
    assert not causal.is_plain_causal(5, 7)
    assert not AttentionMask(is_causal=True, query_start=2).is_plain_causal(5, 5)
    assert not AttentionMask().is_plain_causal(7, 7)
    assert not causal.within(3).is_plain_causal(7, 7)
    for name in ("prefix", "padding", "documents", "rule"):
        assert not fields(1, 2, 7, 0, {"causal", name}).is_plain_causal(7, 7)


def test_the_narrower_window_holds_and_the_mask_is_made_once() -> None:
    mask = AttentionMask(is_causal=True, window=4)
    assert mask.within(None) is mask
    assert mask.within(2).window == 2
    assert mask.within(9).window == 4
    assert mask.within(2) is mask.within(2)
    assert mask.dense(7, 7, CPU) is mask.dense(7, 7, CPU)
    later = AttentionMask(window=1, query_start=4)
    check(later, 1, 3, 5, 0)
    check(later, 1, 3, 5, 2)
