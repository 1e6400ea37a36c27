"""The plain feed-forward network."""

from __future__ import annotations

from torch import Tensor, nn

from lightformer.activations import Activation, activation_function
from lightformer.checks import check_dropout
from lightformer.dimensions import Dimensions
from lightformer.feedforward import FeedForward
from lightformer.registry import register


@register(
    "feedforward",
    "mlp",
    forms=[{}, {"activation": "relu_squared"}, {"activation": "relu", "bias": False}],
)
class MLP(FeedForward):
    """Two linear maps with a nonlinearity between them.

    Paper: Vaswani et al., 2017, arXiv:1706.03762; gelu: Hendrycks and Gimpel, 2016, arXiv:1606.08415;
    relu_squared: So et al., 2021, arXiv:2109.08668

    Args:
        activation: the nonlinearity
        bias: whether the two linear maps have a bias
        dropout: probability of dropping an activation
    """

    def __init__(
        self,
        dims: Dimensions,
        /,
        *,
        activation: Activation = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_dropout(dropout)
        self.input = nn.Linear(dims.hidden_size, dims.intermediate_size, bias)
        self.activation = activation_function(activation)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dims.intermediate_size, dims.hidden_size, bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        inner = self.activation(self.input(hidden_states))  # (batch, seq, intermediate)
        return self.output(self.dropout(inner))
