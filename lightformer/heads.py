"""What reads the hidden states."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.activations import Activation, activation_function
from lightformer.errors import ConfigError
from lightformer.norm import Norm
from lightformer.plain import from_plain

Pooling = Literal["first", "mean", "last"]


class TokenHead(nn.Module):
    """Scores every token of the vocabulary.

    Args:
        embedding: of the tokens; its matrix is the head's where `tied`
        hidden_size: width of the hidden states, the embedding's by default; from another one a linear map
            leads to the embedding's, whether `tied` or not
        tied: whether the head shares the embedding's matrix
        bias: whether each token has a score of its own
        norm: of the embedding's width; where it is given, a linear map, a nonlinearity and this norm come
            first, as in BERT
        activation: that nonlinearity
        dense_bias: whether that linear map has a bias
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        hidden_size: int | None = None,
        tied: bool = True,
        bias: bool = False,
        norm: Norm | None = None,
        activation: Activation = "gelu",
        dense_bias: bool = True,
    ) -> None:
        super().__init__()
        vocab_size, embedding_size = embedding.weight.shape
        hidden_size = embedding_size if hidden_size is None else hidden_size
        changes = norm is not None
        self.dense = None
        if changes or hidden_size != embedding_size:
            self.dense = nn.Linear(hidden_size, embedding_size, bias=changes and dense_bias)
        self.activation = activation_function(activation)
        self.norm = norm
        self.decoder = None if tied else nn.Linear(embedding_size, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size)) if bias else None
        self._embedding = (
            embedding,
        )  # in a tuple, so that its parameters stay the backbone's alone

    def forward(self, hidden_states: Tensor) -> Tensor:
        """From (..., hidden) to (..., vocab_size)."""
        if self.dense is not None:
            hidden_states = self.dense(hidden_states)
        if self.norm is not None:
            hidden_states = self.norm(self.activation(hidden_states))
        weight = self._embedding[0].weight if self.decoder is None else self.decoder.weight
        return F.linear(hidden_states, weight, self.bias)


class Pooler(nn.Module):
    """One vector for a whole sequence.

    Args:
        hidden_size: width of the hidden states
        pooling: `first` takes the first position, `last` the last token, `mean` the average over tokens
        is_causal: whether a hidden state knows only what stands before it
        dense: whether a linear map and a nonlinearity follow, as in BERT
        activation: that nonlinearity
        bias: whether that linear map has a bias
        norm: what comes last, where it is given (ModernBERT)
    """

    def __init__(
        self,
        hidden_size: int,
        pooling: Pooling = "first",
        *,
        is_causal: bool = False,
        dense: bool = True,
        activation: Activation = "tanh",
        bias: bool = True,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        check_pooling(pooling, is_causal)
        self.pooling = pooling
        self.dense = nn.Linear(hidden_size, hidden_size, bias) if dense else None
        self.activation = activation_function(activation)
        self.norm = norm

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """From (batch, seq, hidden) to (batch, hidden)."""
        pooled = pool(hidden_states, attention_mask, self.pooling)
        if self.dense is not None:
            pooled = self.activation(self.dense(pooled))
        return pooled if self.norm is None else self.norm(pooled)


def check_pooling(pooling: Pooling, is_causal: bool) -> None:
    """Refuses to read a whole sequence off a position that sees nothing of it.

    Raises:
        ConfigError: it is the first one of a causal backbone, or there is no such pooling.
    """
    from_plain(Pooling, pooling, "pooling")
    if pooling == "first" and is_causal:
        raise ConfigError(
            "pooling must be last or mean where the backbone is causal, as its first position sees nothing but "
            "itself, but is first; set pooling to last or mean, or backbone.is_causal to false."
        )


def pool(hidden_states: Tensor, attention_mask: Tensor | None, pooling: Pooling) -> Tensor:
    """Returns one vector for each sequence, (batch, hidden), padding left out of account."""
    if attention_mask is None:
        if pooling == "mean":
            return hidden_states.mean(dim=1)
        return hidden_states[:, 0 if pooling == "first" else -1]
    if pooling == "mean":
        share = attention_mask[..., None].to(hidden_states.dtype)
        return (hidden_states * share).sum(dim=1) / share.sum(dim=1).clamp(min=1)
    batch, seq_len = attention_mask.shape
    index = torch.arange(seq_len, device=attention_mask.device)
    rank = seq_len - index if pooling == "first" else index + 1
    where = (rank * attention_mask).argmax(dim=1)
    return hidden_states[torch.arange(batch, device=where.device), where]
