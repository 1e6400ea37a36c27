"""An attention, and the models in which it is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lightformer.attention import AttentionSpec
from lightformer.backbone import Backbone
from lightformer.errors import ConfigError
from lightformer.registry import find, names
from lightformer.testing.modules import without_dropout
from lightformer.testing.promise import Figure, trial, worst
from lightformer.testing.sizes import Sizes

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
