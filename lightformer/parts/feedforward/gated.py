"""The gated feed-forward network."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.activations import Activation, activation_function
from lightformer.checks import check_dropout
from lightformer.dimensions import Dimensions
from lightformer.feedforward import FeedForward
from lightformer.registry import register


@register("feedforward", "gated", forms=[{}, {"activation": "gelu", "bias": True}])
class GatedMLP(FeedForward):
    """One linear map opens and shuts the other: SwiGLU with `silu`, GEGLU with `gelu`.

    It has three matrices where `mlp` has two: at the same number of parameters `intermediate_size` is two
    thirds as large.

    Paper: Shazeer, 2020, arXiv:2002.05202

    Args:
        activation: the nonlinearity of the gate
        bias: whether the three linear maps have a bias
        dropout: probability of dropping an activation
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        activation: Activation = "silu",
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_dropout(dropout)
        self.gate = nn.Linear(dims.hidden_size, dims.intermediate_size, bias)
        self.input = nn.Linear(dims.hidden_size, dims.intermediate_size, bias)
        self.activation = activation_function(activation)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dims.intermediate_size, dims.hidden_size, bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        gate = self.activation(self.gate(hidden_states))  # (batch, seq, intermediate)
        return self.output(self.dropout(gate * self.input(hidden_states)))
