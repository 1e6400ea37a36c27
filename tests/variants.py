"""Every registered part, with the options it needs, and models of small odd sizes out of them.

A new part is tested with no edit here, in the forms that it was registered with.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightformer import Backbone, BackboneConfig
from lightformer.attention import Attention
from lightformer.dimensions import Dimensions
from lightformer.plain import from_plain
from lightformer.position import Position
from lightformer.registry import Spec, contract, find, names

BATCH, SEQ, HIDDEN, HEADS, HEAD_DIM, INNER, LAYERS, LONGEST, VOCAB = 2, 7, 14, 6, 10, 13, 2, 23, 19


def variants(kind: str) -> list[Any]:
    """Returns parameters for pytest: specs of every registered part of a kind, in each of its forms."""
    return [
        pytest.param(
            from_plain(contract(kind), {"name": name, **form}),
            id="-".join((name, *(f"{option}={value}" for option, value in form.items()))),
        )
        for name in names(kind)
        for form in find(kind, name).forms
    ]


def dimensions(**changed: int) -> Dimensions:
    sizes = {
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "head_dim": HEAD_DIM,
        "intermediate_size": INNER,
        "num_layers": LAYERS,
        "max_seq_len": LONGEST,
    }
    return Dimensions(**{**sizes, **changed})


def config(**changed: Any) -> BackboneConfig:
    sizes = {
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "head_dim": HEAD_DIM,
        "intermediate_size": INNER,
        "num_layers": LAYERS,
        "max_seq_len": LONGEST,
    }
    return BackboneConfig(**{**sizes, **changed})


def backbone(*, is_causal: bool = True, has_memory: bool = False, **changed: Any) -> Backbone:
    """Returns a small backbone in float64, with weights large enough for mistakes to show."""
    model = Backbone(config(**changed), VOCAB, is_causal=is_causal, has_memory=has_memory).double()
    return enlarge(model)


def enlarge(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4 + (parameter.ndim == 1) * 0.5)
    return model


def tokens(batch: int = BATCH, seq: int = SEQ) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, seq))


def works_together(attention: Spec, position: Spec) -> bool:
    """Whether the attention accepts the position, as far as it says."""
    try:
        part: Attention = attention(dimensions())
        placed: Position = position(dimensions())
        part.check_position(placed)
    except ValueError:
        return False
    return True


def close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
