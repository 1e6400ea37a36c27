"""An attention, and the models in which it is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightformer.attention import Attention, AttentionContext, AttentionSpec
from lightformer.backbone import Backbone
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.registry import find, names
from lightformer.testing.modules import without_dropout
from lightformer.testing.promise import Figure, trial, worst
from lightformer.testing.sizes import Sizes, stir

POSITIONS = ("none", "learned", "rope", "alibi", "shaw")
"""One for each way in which a position acts: not at all, on embeddings, by rotation, on scores, by content."""

SEQ, LATER = 7, 4
Measure = Callable[[Backbone], Figure]


@trial("attention")
@dataclass(frozen=True)
class AttentionTrial:
    """An attention, and the models in which it is tried."""

    spec: AttentionSpec
    sizes: Sizes = dataclasses.field(default_factory=Sizes)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", without_dropout(self.spec))

    def positions(self) -> list[str]:
        """Returns the names of the positions that it accepts."""
        return [name for name in POSITIONS if name in names("position") and self._accepts(name)]

    def _accepts(self, name: str) -> bool:
        dims = self.sizes.dimensions()
        part, placed = self.spec(dims), find("position", name)()(dims)
        try:
            part.check_position(placed)
        except ConfigError:
            return False
        return True

    def part(self) -> Attention:
        """An attention in float64, in which every parameter matters."""
        return stir(self.spec(self.sizes.dimensions()).double()).eval()

    def context(
        self, seq_len: int, mask: AttentionMask, *, position: str = "none", **more: Any
    ) -> AttentionContext:
        """What it is given beside hidden states."""
        ids = torch.arange(seq_len)[None]
        placed = stir(find("position", position)()(self.sizes.dimensions()).double())
        return AttentionContext(
            mask=mask, position=placed, query_positions=ids, key_positions=ids, **more
        )

    def states(self, batch: int = 2, seq_len: int = SEQ) -> Tensor:
        return torch.randn(batch, seq_len, self.sizes.hidden_size, dtype=torch.float64)

    def model(self, position: str, *, is_causal: bool = True, **more: Any) -> Backbone:
        parts = {"attention": self.spec, "position": find("position", position)()}
        return self.sizes.backbone(is_causal=is_causal, **{**parts, **more})

    def each(self, measure: Measure, **how: Any) -> Figure:
        """The worst figure over all positions."""
        return worst({p: measure(self.model(p, **how)) for p in self.positions()})

    def both_ways(self, measure: Measure, **how: Any) -> Figure:
        """The worst figure over all positions, with a causal mask and without."""
        ways = {"causal": True, "bidirectional": False}
        return worst({n: self.each(measure, is_causal=way, **how) for n, way in ways.items()})

    def tokens(self, batch: int = 2, seq_len: int = SEQ) -> Tensor:
        return self.sizes.tokens(batch, seq_len)

    def others(self, ids: Tensor) -> Tensor:
        """Other tokens than these."""
        return (ids + 1) % self.sizes.vocab_size
