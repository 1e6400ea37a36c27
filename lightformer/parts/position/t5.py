"""Learned biases for buckets of distances."""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.position import Position
from lightformer.registry import register


@register(
    "position",
    "t5",
    forms=[{}, {"num_buckets": 6, "max_distance": 5}, {"num_buckets": 4, "bidirectional": False}],
)
class T5Position(Position):
    """Adds to a score what its head has learned for the distance between query and key.

    Near distances have a bucket each; further ones share buckets that grow wider, and all from `max_distance` on
    share the last. So a model can read sequences longer than it was trained with. All layers share the biases, as
    in T5, which however does not divide its scores by the root of head_dim.

    Paper: Raffel et al., 2019, arXiv:1910.10683

    Args:
        num_buckets: number of buckets
        max_distance: from this distance on, all fall into one bucket
        bidirectional: whether half of the buckets are for keys after the query; false gives a causal model, whose
            queries see none, all buckets for those before (the decoder of T5)
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        sides = 2 if bidirectional else 1
        if num_buckets < 2 * sides or num_buckets % sides:
            rule = "an even number and at least 4" if bidirectional else "at least 2"
            raise ConfigError(f"num_buckets must be {rule}, but is {num_buckets}.")
        exact = num_buckets // sides // 2
        if max_distance <= exact:
            raise ConfigError(
                f"max_distance must be above {exact}, as so many distances have a bucket each, but is {max_distance}."
            )
        self.bidirectional = bidirectional
        self.starts = _starts(exact, num_buckets // sides - exact, max_distance)
        self.embedding = nn.Embedding(num_buckets, dims.num_heads)

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        steps = key_positions[:, None, :] - query_positions[:, :, None]  # (batch or 1, query, key)
        biases = F.embedding(self.buckets(steps), self.embedding.weight)
        # The fused kernel reads a bias that is contiguous along the keys, and no other.
        return biases.permute(0, 3, 1, 2).contiguous()  # (batch or 1, heads, query, key)

    def buckets(self, steps: Tensor) -> Tensor:
        """Returns the bucket of each step from query to key; those to a key after the query come last."""
        starts = torch.tensor(self.starts, device=steps.device)
        if not self.bidirectional:
            return torch.bucketize(-steps, starts, right=True)
        return torch.bucketize(steps.abs(), starts, right=True) + (steps > 0) * (len(starts) + 1)


def _starts(exact: int, wide: int, max_distance: int) -> list[int]:
    """The distances at which buckets 1, 2, ... begin.

    T5 rounds exact + wide * log(distance / exact) / log(max_distance / exact) down. In whole numbers this is the
    same on every device, also where a distance is just the start of a bucket.
    """
    starts = list(range(1, exact + 1))
    for i in range(1, wide):
        bound = exact ** (wide - i) * max_distance**i
        guess = int(exact * (max_distance / exact) ** (i / wide))
        starts.append(next(start for start in count(guess) if start**wide >= bound))
    return starts
