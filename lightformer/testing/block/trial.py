"""A wiring, and the models in which it is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lightformer import attention, feedforward, norm
from lightformer.attention import AttentionContext
from lightformer.backbone import Backbone
from lightformer.block import Block, BlockParts, BlockSpec
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.position import NoPosition
from lightformer.testing.modules import without_dropout
from lightformer.testing.promise import Figure, trial, worst
from lightformer.testing.sizes import Sizes, stir

ROLES = ("encoder", "decoder", "decoder with memory")
SEQ, LATER, MEMORY = 7, 4, 11


class Reader(nn.Module):
    """A backbone, given the same other sequence each time where it reads one."""

    memory: Tensor | None

    def __init__(self, backbone: Backbone, memory: Tensor | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("memory", memory)

    def forward(self, ids: Tensor, **more: Any) -> Tensor:
        return self.backbone(ids, **{**self.given(len(ids)), **more})

    def given(self, batch: int) -> dict[str, Tensor]:
        return {} if self.memory is None else {"memory": self.memory.expand(batch, -1, -1)}


@trial("block")
@dataclass(frozen=True)
class BlockTrial:
    """A wiring, and the models in which it is tried."""

    spec: BlockSpec
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", without_dropout(self.spec))

    def model(self, role: str, **more: Any) -> Reader:
        """A backbone in float64, in which every parameter matters."""
        reads = role == ROLES[2]
        model = self.sizes.backbone(
            is_causal=role != "encoder",
            has_memory=reads,
            block=self.spec,
            attention=attention.mha(bias=False),  # that of a key would have no gradient
            **more,
        )
        return Reader(model, self.states(1, MEMORY) if reads else None).eval()

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Those that it does not refuse: a wiring may have no place for another sequence."""
        with torch.random.fork_rng(devices=[]):
            try:
                self.spec(self._parts(reads=True))
            except ConfigError:
                return ROLES[:2]
        return ROLES

    def each(self, measure: Callable[[Reader], Figure], roles: tuple[str, ...] = ROLES) -> Figure:
        """The worst figure over all roles."""
        return worst({r: measure(self.model(r)) for r in roles if r in self.roles})

    def block(self, *, dropout: float = 0.0) -> Block:
        """One block of a decoder, in float64, with memory if it takes one."""
        parts = self._parts(reads=ROLES[2] in self.roles, dropout=dropout)
        return stir(self.spec(parts).double()).eval()

    def _parts(self, *, reads: bool, dropout: float = 0.0) -> BlockParts:
        dims = self.sizes.dimensions()
        return BlockParts(
            attention=attention.mha(bias=False)(dims),
            cross_attention=attention.mha(bias=False)(dims) if reads else None,
            feedforward=feedforward.mlp()(dims),
            new_norm=lambda: norm.layer_norm()(self.sizes.hidden_size),
            dropout=dropout,
        )

    def contexts(self, batch: int, seq_len: int) -> tuple[AttentionContext, ...]:
        """What a block is given beside hidden states: of its own sequence, and of another one if it takes one."""
        own = AttentionContext(
            mask=AttentionMask(is_causal=True),
            position=NoPosition(self.sizes.dimensions()),
            query_positions=torch.arange(seq_len)[None],
            key_positions=torch.arange(seq_len)[None],
        )
        other = dataclasses.replace(
            own,
            mask=AttentionMask(),
            key_positions=torch.arange(MEMORY)[None],
            memory=self.states(batch, MEMORY),
        )
        return (own, other) if ROLES[2] in self.roles else (own,)

    def tokens(self, batch: int = 2, seq_len: int = SEQ) -> Tensor:
        return self.sizes.tokens(batch, seq_len)

    def others(self, ids: Tensor) -> Tensor:
        """Other tokens than these."""
        return (ids + 1) % self.sizes.vocab_size

    def states(self, batch: int = 2, seq_len: int = SEQ) -> Tensor:
        return torch.randn(batch, seq_len, self.sizes.hidden_size, dtype=torch.float64)
