"""Learned vectors for distances."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register


@register("position", "shaw", forms=[{}, {"max_distance": 2}])
class ShawPosition(Position):
    """Adds to a score the product of the query and a learned vector for the distance to the key.

    So what a token looks for decides which distances matter to it. Each head has its own vectors, which all layers
    share. The paper adds such vectors to keys and to values; without those for values, which are left out here, it
    found nothing lost.

    Paper: Shaw et al., 2018, arXiv:1803.02155

    Args:
        max_distance: from this distance on, to either side, all share one vector
    """

    def __init__(self, dims: Dimensions, /, *, max_distance: int = 16) -> None:
        super().__init__()
        if max_distance < 1:
            raise ConfigError(f"max_distance must be at least 1, but is {max_distance}.")
        self.max_distance, self.num_heads = max_distance, dims.num_heads
        self.embedding = nn.Embedding(2 * max_distance + 1, dims.num_heads * dims.head_dim)

    def content_bias(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        # First the product with every vector, then a choice: a vector for each pair would fill the memory.
        vectors = self.embedding.weight.view(-1, self.num_heads, query.shape[-1])
        products = torch.einsum("bhqd,rhd->bhqr", query, vectors) * query.shape[-1] ** -0.5
        steps = key_positions[:, None, :] - query_positions[:, :, None]  # (batch or 1, query, key)
        index = steps.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return products.gather(-1, index[:, None].expand(*query.shape[:3], -1))
