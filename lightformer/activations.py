"""The nonlinearities of feed-forwards and heads, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lightformer.errors import ConfigError, did_you_mean

Activation = Literal["gelu", "gelu_tanh", "relu", "relu_squared", "silu", "tanh"]


def _relu_squared(states: Tensor) -> Tensor:
    return F.relu(states).square()


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "relu_squared": _relu_squared,
    "silu": F.silu,
    "tanh": F.tanh,
}


def activation_function(name: str) -> Callable[[Tensor], Tensor]:
    """Returns the function of that name, from and to any shape.

    Raises:
        ConfigError: there is none.
    """
    if name not in _FUNCTIONS:
        raise ConfigError(f"There is no activation {name!r}.{did_you_mean(name, _FUNCTIONS)}")
    return _FUNCTIONS[name]
