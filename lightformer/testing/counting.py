"""Figures that are counts."""

from __future__ import annotations

from torch import Tensor

from lightformer.testing.promise import Figure, truth


def none(bad: Tensor, what: str) -> Figure:
    """How many there are of something; none is good."""
    return truth(not bad.any(), f"{int(bad.sum())} of {bad.numel()} {what}")
