"""Small models to try a part in: odd sizes, so that a swapped dimension cannot fit by accident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError

M = TypeVar("M", bound=nn.Module)

LEAST = {"hidden_size": 3, "head_dim": 2, "max_seq_len": 14, "vocab_size": 2}
"""In smaller models a promise can neither be kept nor broken."""


@dataclass(frozen=True)
class Sizes:
    """How large the models are in which a part is tried.

    Args:
        hidden_size: width of the residual stream
        num_heads: number of attention heads
        head_dim: width of a head
        intermediate_size: width inside the feed-forwards
        num_layers: number of blocks
        max_seq_len: longest sequence that they are meant for
        vocab_size: number of token ids

    Raises:
        ConfigError: one is too small for the promises to be tried.
    """

    hidden_size: int = 14
    num_heads: int = 6
    head_dim: int = 10
    intermediate_size: int = 13
    num_layers: int = 2
    max_seq_len: int = 23
    vocab_size: int = 19

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} must be at least {least}, so that promises can be tried, but is {getattr(self, name)}."
                )

    def dimensions(self) -> Dimensions:
        return Dimensions(**{k: v for k, v in vars(self).items() if k != "vocab_size"})

    def backbone(self, *, is_causal: bool, has_memory: bool = False, **parts: Any) -> Backbone:
        """Returns a backbone in float64, in which every parameter matters."""
        sizes = {k: v for k, v in vars(self).items() if k != "vocab_size"}
        config = BackboneConfig(**{**sizes, **parts})
        model = Backbone(config, self.vocab_size, is_causal=is_causal, has_memory=has_memory)
        return stir(model.double()).eval()

    def tokens(self, batch: int, seq_len: int) -> Tensor:
        return torch.randint(0, self.vocab_size, (batch, seq_len))


@torch.no_grad()
def stir(module: M) -> M:
    """Adds noise to every parameter: a mistake behind a weight of 0 or 1 would not show."""
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.4)
    return module


def around(ids: Tensor, left: int, right: int, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Rows with random padding around them, and which of it are tokens."""
    shape = (len(ids), left + ids.shape[1] + right)
    wide, is_token = torch.randint(0, vocab_size, shape), torch.zeros(shape, dtype=torch.bool)
    wide[:, left : left + ids.shape[1]] = ids
    is_token[:, left : left + ids.shape[1]] = True
    return wide, is_token
