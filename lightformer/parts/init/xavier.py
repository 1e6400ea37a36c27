"""Uniform values that keep the size of what passes."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.init import Init
from lightformer.registry import register


@register("init", "xavier")
class XavierInit(Init):
    """Uniform values that keep the variance forward and backward.

    Embeddings are normal with standard deviation hidden_size^-0.5, as in the first transformer.

    Paper: Glorot and Bengio, 2010, Understanding the difficulty of training deep feedforward neural networks
    """

    def weight(self, name: str, module: nn.Linear | nn.Embedding, weight: Tensor) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        else:
            nn.init.xavier_uniform_(weight)
