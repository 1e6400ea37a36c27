"""With what the promises of an adapter are tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lightformer import attention, feedforward, position
from lightformer.adapter import Adapter, AdapterSpec, adapt
from lightformer.backbone import Backbone
from lightformer.testing.modules import without_dropout
from lightformer.testing.promise import Figure, difference, trial, truth
from lightformer.testing.sizes import Sizes

BATCH, SEQ = 3, 7
Values = dict[str, Tensor]


@trial("adapter")
@dataclass(frozen=True)
class AdapterTrial:
    """An adapter, and the backbones that it is attached to: with linear maps of several shapes, some without a bias."""

    spec: AdapterSpec
    sizes: Sizes = field(default_factory=Sizes)

    def backbone(self, **changed: Any) -> Backbone:
        """A backbone in float64, as it is before; the same each time."""
        torch.manual_seed(3)
        return self.sizes.backbone(
            is_causal=False,
            **{
                "attention": attention.gqa(num_kv_heads=2),
                "feedforward": feedforward.gated(),
                "position": position.rope(),
                "embedding_size": 5,
                **changed,
            },
        )

    def adapter(self) -> Adapter:
        """The adapter without dropout."""
        return without_dropout(self.spec)()

    def adapted(self, **changed: Any) -> Backbone:
        """A backbone with the adapter, as it starts."""
        model = self.backbone(**changed)
        adapt(model, self.adapter())
        return model

    def trained(self, **changed: Any) -> Backbone:
        """A backbone with the adapter, whose parameters have moved."""
        model = self.adapted(**changed)
        with torch.no_grad():
            for parameter in own(model).values():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        return model

    def ids(self) -> Tensor:
        return torch.arange(BATCH * SEQ).view(BATCH, SEQ) * 5 % self.sizes.vocab_size


def own(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn: those of the adapter."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def values(model: nn.Module) -> Values:
    """The parameters, copied."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same_bits(found: Values, expected: Values) -> Figure:
    """Whether all that was expected is there, to the bit."""
    for name, value in expected.items():
        if name not in found:
            return truth(False, f"{name} is gone")
        if not found[name].equal(value):
            return truth(False, f"{name} has changed")
    return truth(True, f"{len(expected)} parameters")


def exactly(found: Tensor, expected: Tensor) -> Figure:
    """Whether two tensors are the same to the bit."""
    text = "to the bit" if found.equal(expected) else difference(found, expected, 1e-300).text
    return truth(found.equal(expected), text.split(" (")[0])
