"""The contract of an attention, and the namespace of those that are registered.

from lightformer import attention
attention.gqa(num_kv_heads=2)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from lightformer.cache import LayerCache
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.memo import Made, once
from lightformer.position import Position
from lightformer.registry import Spec, namespace


@dataclass(frozen=True, eq=False)
class AttentionContext:
    """All that an attention needs beside hidden states; the same for every layer, save for the cache.

    Attributes:
        mask: who may look at whom
        position: the position encoding; the attention calls its `rotate` and reads `bias`
        query_positions: (batch or 1, query), position ids of the hidden states
        key_positions: (batch or 1, key), position ids of all keys, cached ones included
        memory: (batch, key, hidden), where keys and values come from another sequence; else None
        cache: what this layer remembers, where a cache is in use
        weights: where it is a list, each layer appends its attention weights to it
        biases: what the positions have computed in this forward, for the layers that share it
    """

    mask: AttentionMask
    position: Position
    query_positions: Tensor
    key_positions: Tensor
    memory: Tensor | None = None
    cache: LayerCache | None = None
    weights: list[Tensor] | None = None
    biases: Made[Tensor | None] = field(default_factory=list, repr=False)

    def for_layer(self, position: Position, cache: LayerCache | None) -> AttentionContext:
        """Returns this context for a layer with its own position and memory."""
        return replace(self, position=position, cache=cache)

    def bias(self, query: Tensor, key: Tensor, key_start: int = 0) -> Tensor | None:
        """Returns what the position adds to the scores, or None.

        Args:
            query: (batch, heads, query, head_dim), after rotation
            key: (batch, kv_heads, key, head_dim), after rotation
            key_start: index of the first key
        """
        key_positions = self.key_positions[:, key_start : key_start + key.shape[2]]
        form = (id(self.position), key_start, key.shape[2])
        fixed = once(
            self.biases, form, lambda: self.position.bias(self.query_positions, key_positions)
        )
        content = self.position.content_bias(query, key, self.query_positions, key_positions)
        if fixed is None or content is None:
            return content if fixed is None else fixed
        return fixed + content


class Attention(nn.Module, ABC):
    """Moves information between positions.

    A part is built once for each layer by `part(dims, **options)`. By convention the linear map that
    writes to the residual stream is called `output`: initialisation schemes scale it by depth.
    """

    @abstractmethod
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        """Attends from every position to those that the mask allows.

        Args:
            hidden_states: (batch, query, hidden)
            context: mask, positions, and where keys and values come from

        Returns:
            (batch, query, hidden)
        """

    def new_cache(self) -> LayerCache | None:
        """Returns an empty memory for generation, which `forward` finds in `context.cache` and fills.

        None, where this attention has none: generation then reads all tokens again at each step.
        """
        return None

    def check_position(self, position: Position) -> None:
        """Refuses a position encoding with which this attention cannot work.

        One that only adds to the embeddings works with all. An attention that calls `context.position.rotate` or
        adds `context.bias` to its scores overrides this method.

        Raises:
            ConfigError: it says why, and what would work.
        """
        if position.acts_in_attention():
            raise ConfigError(
                f"{type(position).__name__} acts inside the attention, but {type(self).__name__} does not say that it "
                "lets it; choose position learned, sinusoidal or none, or override check_position."
            )


class AttentionSpec(Spec, kind="attention", builds=Attention):
    """Which attention a block uses."""

    @abstractmethod
    def __call__(self, dims: Dimensions, /) -> Attention: ...


__getattr__ = namespace("attention")
