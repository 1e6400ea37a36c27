"""A position, what it is asked, and the models in which it is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightformer import attention
from lightformer.backbone import Backbone
from lightformer.position import Position, PositionSpec
from lightformer.testing import modules
from lightformer.testing.promise import DoesNotApply, Figure, difference, trial, worst
from lightformer.testing.sizes import Sizes, stir

SEQ, LATER, FAR = 7, 4, 5001
SWAP = torch.tensor([4, 1, 2, 3, 0, 5, 6])
NOTHING = "it does nothing"

Answers = Mapping[str, Tensor]
"""What each hook gives, by its name; those that do nothing are left out."""


@dataclass(frozen=True)
class Question:
    """What the hooks of a position are asked.

    Args:
        query: (batch, heads, query, head_dim)
        key: (batch, heads, key, head_dim)
        query_ids: (batch or 1, query)
        key_ids: (batch or 1, key)
    """

    query: Tensor
    key: Tensor
    query_ids: Tensor
    key_ids: Tensor

    def of(self, queries: Any, keys: Any) -> Question:
        """Some of the queries, and some of the keys."""
        return Question(
            self.query[:, :, queries],
            self.key[:, :, keys],
            self.query_ids[:, queries],
            self.key_ids[:, keys],
        )

    def of_row(self, row: int) -> Question:
        query, key = self.query[row : row + 1], self.key[row : row + 1]
        return Question(query, key, self.query_ids[row : row + 1], self.key_ids[row : row + 1])

    def twice(self) -> Question:
        """The same states at the same places two times over, as in two packed documents."""
        states, ids = (self.query, self.key), (self.query_ids, self.key_ids)
        return Question(
            *(torch.cat((t, t), dim=-2) for t in states), *(i.repeat(1, 2) for i in ids)
        )

    def at(self, ids: Tensor) -> Question:
        """The same states, where queries and keys stand at other places."""
        return Question(self.query, self.key, ids, ids)

    def to(self, dtype: torch.dtype) -> Question:
        """The same, with states of a dtype."""
        return Question(self.query.to(dtype), self.key.to(dtype), self.query_ids, self.key_ids)

    def on(self, device: torch.device) -> Question:
        """The same, on a device."""
        states, ids = (self.query, self.key), (self.query_ids, self.key_ids)
        return Question(*(tensor.to(device) for tensor in (*states, *ids)))


def answers(part: Position, asked: Question) -> dict[str, Tensor]:
    """What each hook gives, as an attention asks it."""
    query = part.rotate(asked.query, asked.query_ids)
    key = part.rotate(asked.key, asked.key_ids)
    found = {
        "embed": part.embed(asked.query_ids),
        "rotate": query if turns(part) else None,
        "bias": part.bias(asked.query_ids, asked.key_ids),
        "content_bias": part.content_bias(query, key, asked.query_ids, asked.key_ids),
    }
    return {name: answer for name, answer in found.items() if answer is not None}


def ask(part: Position, asked: Question) -> dict[str, Tensor]:
    """What each hook gives.

    Raises:
        DoesNotApply: no hook gives anything.
    """
    if found := answers(part, asked):
        return found
    raise DoesNotApply(NOTHING)


def turns(part: Position) -> bool:
    """Whether it has a hook of its own for queries and keys."""
    return getattr(part.rotate, "__func__", part.rotate) is not Position.rotate


def cut(found: Answers, queries: Any, keys: Any) -> dict[str, Tensor]:
    """That part of the answers which is of some queries and some keys."""
    rows = {n: a[:, queries] if n == "embed" else a[:, :, queries] for n, a in found.items()}
    return {n: a[..., keys] if n in ("bias", "content_bias") else a for n, a in rows.items()}


def alike(found: Answers, expected: Answers, bound: float = 1e-9) -> Figure:
    """The worst difference over all hooks."""
    return worst({n: difference(found[n].double(), expected[n].double(), bound) for n in expected})


@trial("position")
@dataclass(frozen=True)
class PositionTrial:
    """A position, what it is asked, and the models in which it is tried."""

    spec: PositionSpec
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", modules.without_dropout(self.spec))

    def part(self) -> Position:
        """A position in float64, in which every parameter matters."""
        return stir(self.spec(self.sizes.dimensions()).double()).eval()

    def question(self, ids: Tensor, batch: int = 2, key_ids: Tensor | None = None) -> Question:
        """Random queries and keys, of float64."""
        key_ids = ids if key_ids is None else key_ids
        shapes = (
            (batch, self.sizes.num_heads, i.shape[1], self.sizes.head_dim) for i in (ids, key_ids)
        )
        query, key = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
        return Question(query, key, ids, key_ids)

    def model(self, *, is_causal: bool = True, **parts: Any) -> Backbone:
        given = {"attention": attention.mha(), "position": self.spec}
        return self.sizes.backbone(is_causal=is_causal, **{**given, **parts})

    def both_ways(self, measure: Callable[[Backbone], Figure]) -> Figure:
        """The worst figure with a causal mask and without."""
        ways = {"causal": True, "bidirectional": False}
        return worst({name: measure(self.model(is_causal=way)) for name, way in ways.items()})

    def tokens(self, batch: int = 2, seq_len: int = SEQ) -> Tensor:
        return self.sizes.tokens(batch, seq_len)

    def last(self, part: Position) -> Tensor:
        """Ids of the last places before an end, (1, 7); without one, of places far beyond max_seq_len."""
        far = max(FAR, 4 * self.sizes.max_seq_len)
        end = far if part.longest is None else part.longest
        return torch.arange(end - SEQ, end)[None]


def places(*ids: int) -> Tensor:
    """Position ids of one row, (1, seq)."""
    return torch.tensor([ids])
