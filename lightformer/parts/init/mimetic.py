"""Keys that start as queries."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.checks import check_positive
from lightformer.dimensions import Dimensions
from lightformer.init import Init
from lightformer.registry import register


@register("init", "mimetic")
class MimeticInit(Init):
    """Keys start as queries, so that tokens first look at tokens like themselves.

    Trained models end up with something like it; small data does not have to get there. It helps where the same
    words in two places are what matters. All else is normal. The paper shapes values and outputs too.

    Paper: Trockman and Kolter, 2023, arXiv:2305.09828

    Args:
        std: standard deviation; hidden_size^-0.5 lets a token's score for itself stand out
    """

    def __init__(self, dims: Dimensions, /, *, std: float = 0.02) -> None:
        super().__init__(dims)
        check_positive(std, "std")
        self.std = std

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        nn.init.normal_(weight, std=self.std)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        super().__call__(model)
        for module in model.modules():
            query, key = getattr(module, "query", None), getattr(module, "key", None)
            if isinstance(query, nn.Linear) and isinstance(key, nn.Linear):
                self._match(query.weight, key.weight)

    def _match(self, query: Tensor, key: Tensor) -> None:
        """Each key head starts as the first of the query heads that it serves."""
        heads = query.view(-1, self.dims.head_dim, query.shape[1])  # (heads, head_dim, hidden)
        kv_heads = key.view(-1, self.dims.head_dim, key.shape[1])
        kv_heads.copy_(heads[:: len(heads) // len(kv_heads)])
