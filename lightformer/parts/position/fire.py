"""A learned function of a distance's share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register


@register("position", "fire", forms=[{}, {"threshold": 512.0, "width": 5}])
class FirePosition(Position):
    """Adds to a score what a small network makes of the distance, as a share of the distance that is possible.

    The share is log(c distance + 1) / log(c max(i, j, L) + 1) for a query at i and a key at j. It stays between 0
    and 1 however long a sequence grows, so that a model goes on working beyond the length of its training. In a
    causal model max(i, j) is i, as in the paper; with j an encoder treats both sides alike. c, L and the network
    are learned. All layers share the result (FIRE-S in the paper), which takes `width` numbers for each pair of
    query and key to compute.

    Paper: Li et al., 2023, arXiv:2310.04418

    Args:
        width: neurons of the network
        threshold: where L starts, from which on shares are of the place in the sequence; a quarter of max_seq_len
            by default, as in the paper
    """

    threshold: Tensor

    def __init__(
        self, dims: Dimensions, /, *, width: int = 32, threshold: float | None = None
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width must be at least 1, but is {width}.")
        threshold = dims.max_seq_len / 4 if threshold is None else threshold
        check_positive(threshold, "threshold")
        # Saved with the weights, which fit no other: max_seq_len may change.
        self.register_buffer("threshold", torch.tensor([float(threshold)]))
        # Of one dimension, since FSDP divides no scalars.
        self.curvature = nn.Parameter(torch.full((1,), 0.1))  # c
        self.log_stretch = nn.Parameter(torch.zeros(1))  # log(L / threshold)
        # Not linear maps: initialisation schemes would start them too small for an input of one number.
        self.inner_weight = nn.Parameter(torch.empty(width).uniform_(-1.0, 1.0))
        self.inner_bias = nn.Parameter(torch.empty(width).uniform_(-1.0, 1.0))
        # Without the bias of the paper's code: one number for all scores of a head changes no softmax.
        self.outer_weight = nn.Parameter(
            torch.empty(dims.num_heads, width).uniform_(-(width**-0.5), width**-0.5)
        )

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        share = self.share(query_positions[:, :, None], key_positions[:, None, :])[:, None]
        weight, shift = self.inner_weight[:, None, None], self.inner_bias[:, None, None]
        inner = (share.to(weight.dtype) * weight + shift).relu()  # (batch or 1, width, query, key)
        outer = self.outer_weight @ inner.flatten(2)
        return outer.view(*outer.shape[:2], *share.shape[2:])  # (batch or 1, heads, query, key)

    def share(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        """Returns the distance as a share of what is possible, 0 to 1; the positions broadcast."""
        # In a model that is cast to bfloat16 positions would be rounded to tens.
        dtype = torch.promote_types(self.curvature.dtype, torch.float32)
        curvature = self.curvature.to(dtype).abs()
        reach = self.log_stretch.to(dtype).exp() * self.threshold.to(dtype)  # L
        distance = (query_positions - key_positions).abs()
        longest = torch.maximum(query_positions, key_positions).to(dtype)
        longest = torch.maximum(longest, reach)
        # The bound is for a curvature of 0.
        return (curvature * distance).log1p() / (curvature * longest).log1p().clamp(min=1e-6)
