"""The contract of a block, which wires attention and feed-forward together, and the namespace of its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from lightformer.attention import Attention, AttentionContext
from lightformer.feedforward import FeedForward
from lightformer.norm import Norm
from lightformer.registry import Spec, namespace


@dataclass(frozen=True)
class BlockParts:
    """What a block wires together.

    Attributes:
        attention: of the sequence to itself
        cross_attention: to another sequence; None in an encoder or a plain decoder
        feedforward: of each position on its own
        new_norm: makes one norm of the residual's width; called as often as the wiring needs one
        dropout: probability of dropping an element of what a part adds to the residual
        layer: number of the layer, from 0
    """

    attention: Attention
    cross_attention: Attention | None
    feedforward: FeedForward
    new_norm: Callable[[], Norm]
    dropout: float = 0.0
    layer: int = 0


class Block(nn.Module, ABC):
    """One layer of a transformer. A part is built by `part(parts, **options)`."""

    attention: Attention
    cross_attention: Attention | None

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__()
        self.attention = parts.attention
        self.cross_attention = parts.cross_attention
        self.feedforward = parts.feedforward
        self.dropout = nn.Dropout(parts.dropout)

    @abstractmethod
    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        """From (batch, seq, hidden) to (batch, seq, hidden).

        Args:
            hidden_states: the residual stream
            context: for the attention of the sequence to itself
            cross_context: for the attention to another sequence, where the block has one
        """

    def final_norm(self, new_norm: Callable[[], Norm]) -> nn.Module:
        """Returns what stands after the last block: a norm, unless the wiring ends in one."""
        return new_norm()


class BlockSpec(Spec, kind="block", builds=Block):
    """How attention, feed-forward and norms are wired."""

    @abstractmethod
    def __call__(self, parts: BlockParts, /) -> Block: ...


__getattr__ = namespace("block")
