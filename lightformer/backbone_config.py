"""What a backbone is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lightformer import attention, block, feedforward, init, norm, position
from lightformer.attention import AttentionSpec
from lightformer.block import BlockSpec
from lightformer.checks import check_dropout
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.feedforward import FeedForwardSpec
from lightformer.init import InitSpec
from lightformer.norm import NormSpec
from lightformer.position import PositionSpec


@dataclass(frozen=True)
class LayerPattern:
    """What one layer of a pattern has of its own; the rest is as the backbone says.

    Args:
        attention: how positions look at one another
        position: how positions are told apart in this layer's attention
        feedforward: what each position does on its own
    """

    attention: AttentionSpec | None = None
    position: PositionSpec | None = None
    feedforward: FeedForwardSpec | None = None


class LayerParts(NamedTuple):
    """What one layer is made of, its pattern applied."""

    attention: AttentionSpec
    position: PositionSpec
    feedforward: FeedForwardSpec


@dataclass(frozen=True)
class BackboneConfig:
    """A stack of transformer blocks: its sizes, and the parts it is made of.

    Args:
        hidden_size: width of the residual stream
        num_layers: number of layers, one after another
        num_layer_groups: number of blocks with weights of their own, a divisor of num_layers: layers in a row
            share one, and 1 makes all layers the same (ALBERT, arXiv:1909.11942); each layer has its own by default
        embedding_size: width of token, segment and position vectors; a linear map leads from them to hidden_size,
            and in a head back, which saves weights where the vocabulary is large (ALBERT); hidden_size by default
        num_heads: number of attention heads
        head_dim: width of a head; hidden_size / num_heads by default
        intermediate_size: width inside the feed-forwards; 4 * hidden_size by default
        max_seq_len: longest sequence that the model is meant for
        num_segments: number of token types, 2 for pairs of texts; 0 for none
        is_causal: whether a position sees only what stands before it; the task decides by default
        dropout: probability of dropping an element of the embeddings, and of what each part adds
        scale_embeddings: whether token vectors are multiplied by the root of their width
        norm_embeddings: whether the sum of the embeddings is normalised
        attention: how positions look at one another
        position: how positions are told apart
        feedforward: what each position does on its own
        norm: how vectors are brought to a common scale
        block: how these are wired
        pattern: layers that differ, repeated over the depth: layer i takes entry i modulo their number
        init: which values the parameters start from
    """

    hidden_size: int = 256
    num_layers: int = 4
    num_layer_groups: int | None = None
    embedding_size: int | None = None
    num_heads: int = 4
    head_dim: int | None = None
    intermediate_size: int | None = None
    max_seq_len: int = 512
    num_segments: int = 0
    is_causal: bool | None = None
    dropout: float = 0.0
    scale_embeddings: bool = False
    norm_embeddings: bool = False
    attention: AttentionSpec = attention.mha()
    position: PositionSpec = position.rope()
    feedforward: FeedForwardSpec = feedforward.mlp()
    norm: NormSpec = norm.layer_norm()
    block: BlockSpec = block.pre_norm()
    pattern: list[LayerPattern] = field(default_factory=list)
    init: InitSpec = init.scaled_normal()

    def __post_init__(self) -> None:
        if self.head_dim is None and self.num_heads > 0 and self.hidden_size % self.num_heads:
            raise ConfigError(
                f"hidden_size must be a multiple of num_heads, but {self.hidden_size} is not one of "
                f"{self.num_heads}."
            )
        check_dropout(self.dropout)
        if self.num_segments < 0:
            raise ConfigError(f"num_segments must not be negative, but is {self.num_segments}.")
        for name in ("embedding_size", "num_layer_groups"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ConfigError(f"{name} must be at least 1, but is {number}.")
        self.dimensions()
        self._check_groups()

    def _check_groups(self) -> None:
        if self.num_layer_groups is None:
            return
        if self.num_layers % self.num_layer_groups:
            raise ConfigError(
                f"num_layers must be a multiple of num_layer_groups, but {self.num_layers} is not one of "
                f"{self.num_layer_groups}."
            )
        for layer in range(self.num_layers):
            first = self.first_of_group(layer)
            own, shared = self.layer(layer), self.layer(first)
            for part in LayerParts._fields:
                if getattr(own, part) != getattr(shared, part):
                    raise ConfigError(
                        f"Layers of a group share one block, but the pattern gives layers {first} and {layer} of a "
                        f"group a different {part}; leave out pattern or num_layer_groups, or let the pattern "
                        "change only from group to group."
                    )

    def first_of_group(self, layer: int) -> int:
        """Returns the first of the layers that share a block with this one; without groups, itself.

        A part that knows its depth is told that of this layer.
        """
        if self.num_layer_groups is None:
            return layer
        return layer - layer % (self.num_layers // self.num_layer_groups)

    def dimensions(self, layer: int = 0) -> Dimensions:
        """Returns the sizes that each part of a layer is given."""
        heads = max(1, self.num_heads)
        return Dimensions(
            hidden_size=self.hidden_size,
            num_heads=self.num_heads,
            head_dim=self.hidden_size // heads if self.head_dim is None else self.head_dim,
            intermediate_size=4 * self.hidden_size
            if self.intermediate_size is None
            else self.intermediate_size,
            num_layers=self.num_layers,
            max_seq_len=self.max_seq_len,
            layer=layer,
        )

    def embedding_dimensions(self) -> Dimensions:
        """Returns the sizes that a position is given: its hidden_size is the width of what it is added to."""
        return replace(self.dimensions(), hidden_size=self.embedding_size or self.hidden_size)

    def layer(self, number: int) -> LayerParts:
        """Returns which parts one layer is made of."""
        own = self.pattern[number % len(self.pattern)] if self.pattern else LayerPattern()
        return LayerParts(
            own.attention or self.attention,
            own.position or self.position,
            own.feedforward or self.feedforward,
        )
