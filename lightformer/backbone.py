"""The stack: embeddings, blocks, final norm. It knows contracts, and no variant."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.backbone_config import BackboneConfig
from lightformer.block import Block, BlockParts
from lightformer.cache import Cache
from lightformer.embeddings import Embeddings
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask, MaskRule
from lightformer.norm import Norm
from lightformer.position import NoPosition, Position, default_positions


class Backbone(nn.Module):
    """Turns token ids into hidden states: an encoder, a decoder, or a decoder that reads an encoder.

    Args:
        config: sizes and parts
        vocab_size: number of token ids
        is_causal: whether a position sees only what stands before it; `config.is_causal` by default
        has_memory: whether each block also attends to another sequence, given to `forward` as `memory`
    """

    def __init__(
        self,
        config: BackboneConfig,
        vocab_size: int,
        *,
        is_causal: bool | None = None,
        has_memory: bool = False,
    ) -> None:
        super().__init__()
        if vocab_size < 1:
            raise ConfigError(f"vocab_size must be at least 1, but is {vocab_size}.")
        self.config = config
        self.is_causal = bool(config.is_causal) if is_causal is None else is_causal
        width = config.embedding_dimensions().hidden_size
        self.embeddings = Embeddings(
            vocab_size,
            config.num_segments,
            width,
            config.hidden_size,
            norm=config.norm(width) if config.norm_embeddings else None,
            scale=width**0.5 if config.scale_embeddings else 1.0,
            dropout=config.dropout,
        )
        # The first acts on the embeddings. Layers with the same position share it, and what it computes.
        specs = [config.layer(i).position for i in range(config.num_layers)]
        kinds = list(dict.fromkeys([config.position, *specs]))
        self.positions = nn.ModuleList(spec(config.embedding_dimensions()) for spec in kinds)
        self._position_of_layer = [kinds.index(spec) for spec in specs]
        firsts = [config.first_of_group(i) for i in range(config.num_layers)]
        distinct = list(dict.fromkeys(firsts))
        self.blocks = nn.ModuleList(self._block(i, has_memory) for i in distinct)
        self._block_of_layer = [distinct.index(first) for first in firsts]
        layers = self.layers()
        self.norm = layers[-1].final_norm(self._new_norm) if layers else self._new_norm()
        self._cross_position = NoPosition(config.dimensions())
        config.init(config.dimensions())(self)

    def _new_norm(self) -> Norm:
        return self.config.norm(self.config.hidden_size)

    def layers(self) -> list[Block]:
        """Returns the block of each layer, from the first to the last; layers of a group have the same one."""
        return [cast(Block, self.blocks[i]) for i in self._block_of_layer]

    @property
    def position(self) -> Position:
        """What acts on the embeddings, and in every layer that has no position of its own."""
        return cast(Position, self.positions[0])

    def _position(self, layer: int) -> Position:
        return cast(Position, self.positions[self._position_of_layer[layer]])

    def _block(self, layer: int, has_memory: bool) -> Block:
        dims, parts = self.config.dimensions(layer), self.config.layer(layer)
        own, placed = parts.attention(dims), self._position(layer)
        own.check_position(placed)
        if placed is not self.position and type(placed).embed is not Position.embed:
            raise ConfigError(
                f"A pattern cannot have position {parts.position.name!r}, which is added to the embeddings, "
                "before all layers; make it the position of the backbone."
            )
        return self.config.block(
            BlockParts(
                attention=own,
                cross_attention=parts.attention(dims) if has_memory else None,
                feedforward=parts.feedforward(dims),
                new_norm=self._new_norm,
                dropout=self.config.dropout,
                layer=layer,
            )
        )

    @property
    def longest(self) -> int | None:
        """How many positions every layer can tell apart; None where there is no end."""
        ends = [cast(Position, position).longest for position in self.positions]
        known = [end for end in ends if end is not None]
        return min(known) if known else None

    def new_cache(self) -> Cache | None:
        """Returns an empty memory, for `forward`; None where an attention has none.

        Raises:
            ConfigError: the backbone is not causal.
        """
        if not self.is_causal:
            raise ConfigError(
                "A cache needs a causal backbone, but this one looks to both sides, so that each new token changes "
                "what is known of all before it; set is_causal to true, or read all tokens again at each step."
            )
        layers = self.layers()
        crossed = [layer.cross_attention for layer in layers if layer.cross_attention is not None]
        own = [layer.attention.new_cache() for layer in layers]
        other = [attention.new_cache() for attention in crossed]
        if None in own or None in other:
            return None
        return Cache(
            layers=[cache for cache in own if cache is not None],
            cross_layers=[cache for cache in other if cache is not None],
        )

    def forward(
        self,
        input_ids: Tensor,
        *,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
        rule: MaskRule | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        memory_document_ids: Tensor | None = None,
        cache: Cache | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """Returns hidden states, (batch, seq, hidden).

        An id that is out of range is refused by a sentence on the CPU. A GPU stops the whole process at it, as a look
        at each batch would slow training, and a compiled model raises an error of torch's: run such a batch on the
        CPU, not compiled, to be told which id it is.

        Args:
            input_ids: (batch, seq)
            attention_mask: (batch, seq), False or 0 on padding; with a cache, of the new tokens or of all
            token_type_ids: (batch, seq), the segment of each token
            position_ids: (batch or 1, seq); by default they count the tokens of each document from 0
            document_ids: (batch, seq), where several documents share a row, each one run of tokens: none looks
                into another; with a cache, tokens without them go on with the last document of their row
            prefix_lengths: (batch,), so many tokens are seen by all, in a causal model
            rule: any further condition on who looks at whom
            memory: (batch, key, hidden), hidden states of another sequence
            memory_mask: (batch, key), False or 0 on its padding
            memory_document_ids: (batch, key), where the memory is packed too: a document of `document_ids` sees
                the memory of the same id; packed rows need it, so that none sees the memory of another
            cache: from `new_cache`; it is filled, and later calls go on where it ends
            weights: an empty list, to which the layers append their attention weights
        """
        batch, seq_len = input_ids.shape
        attention_mask = None if attention_mask is None else attention_mask.bool()
        memory_mask = None if memory_mask is None else memory_mask.bool()
        start = 0 if cache is None else cache.length
        is_token, documents = attention_mask, document_ids  # of all keys
        if cache is not None:
            is_token = cache.add_tokens(attention_mask, batch, seq_len)
            documents = cache.add_documents(document_ids, seq_len)
        document_ids = None if documents is None else documents[:, start:]
        if position_ids is None:
            position_ids = default_positions(seq_len, start, is_token, documents, input_ids.device)
        self._check_length(start + seq_len)
        key_positions = _with_old(cache, position_ids)
        context = AttentionContext(
            mask=AttentionMask(
                is_causal=self.is_causal,
                prefix_lengths=prefix_lengths,
                is_token=is_token,
                query_documents=document_ids,
                key_documents=documents,
                rule=rule,
                query_start=start,
            ),
            position=self.position,
            query_positions=position_ids,
            key_positions=key_positions,
            weights=weights,
        )
        crossed = self._cross_context(
            memory, memory_mask, position_ids, document_ids, memory_document_ids
        )
        states = self.embeddings(input_ids, token_type_ids, position_ids, self.position)
        for i, layer in enumerate(self.layers()):
            own = context.for_layer(self._position(i), cache.layers[i] if cache else None)
            if crossed is not None:
                kept = cache.cross_layers[i] if cache else None
                crossed = crossed.for_layer(self._cross_position, kept)
            states = layer(states, own, crossed)
        if cache is not None:
            cache.length, cache.position_ids = start + seq_len, key_positions
            cache.is_token, cache.document_ids = is_token, documents
        return self.norm(states)  # (batch, seq, hidden)

    def _cross_context(
        self,
        memory: Tensor | None,
        memory_mask: Tensor | None,
        position_ids: Tensor,
        document_ids: Tensor | None,
        memory_document_ids: Tensor | None,
    ) -> AttentionContext | None:
        if memory is None and memory_document_ids is not None:
            raise ConfigError("There are memory_document_ids, but no memory; give memory as well.")
        if memory is None:
            return None
        if (document_ids is None) != (memory_document_ids is None):
            given = "document_ids" if memory_document_ids is None else "memory_document_ids"
            raise ConfigError(
                "Where rows are packed, each document sees the memory of its own, which takes document_ids and "
                f"memory_document_ids, but only {given} were given; give both, or neither."
            )
        return AttentionContext(
            mask=AttentionMask(
                is_token=memory_mask,
                query_documents=document_ids,
                key_documents=memory_document_ids,
            ),
            position=self._cross_position,
            query_positions=position_ids,
            key_positions=torch.arange(memory.shape[1], device=memory.device)[None],
            memory=memory,
        )

    def _check_length(self, seq_len: int) -> None:
        if self.longest is not None and seq_len > self.longest:
            raise ConfigError(
                f"A sequence must not be longer than max_seq_len, which is {self.longest}, but one has "
                f"{seq_len} tokens; raise max_seq_len, or choose a position without an end (rope, alibi)."
            )


def _with_old(cache: Cache | None, position_ids: Tensor) -> Tensor:
    """Position ids of all keys: those in the cache, then the new ones."""
    if cache is None or cache.position_ids is None:
        return position_ids
    old = cache.position_ids
    rows = max(old.shape[0], position_ids.shape[0])
    return torch.cat((old.expand(rows, -1), position_ids.expand(rows, -1)), dim=1)
