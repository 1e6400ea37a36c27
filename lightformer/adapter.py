"""The contract of an adapter, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from lightformer.registry import Spec, namespace


class Adapter(ABC):
    """Learns in place of a backbone: adds a few parameters of its own, which can be folded into the weights.

    A part is built by `part(**options)`. It keeps nothing of a backbone: another instance with the same options can
    merge what this one attached. For one that adds to linear maps, derive from
    `lightformer.linear_adapter.LinearAdapter`.
    """

    @abstractmethod
    def attach(self, backbone: nn.Module) -> None:
        """Adds parameters to a backbone, which goes on to compute what it did.

        The parameters that it has keep their names and values; who attaches sees to it that they do not move.
        """

    @abstractmethod
    def merge(self, backbone: nn.Module) -> None:
        """Folds the parameters that were added into the weights, and takes them off.

        The backbone then computes what it did with them, and has the names that it had before `attach`.
        """


class AdapterSpec(Spec, kind="adapter", builds=Adapter):
    """What learns in place of the backbone."""

    @abstractmethod
    def __call__(self) -> Adapter: ...


def adapt(backbone: nn.Module, adapter: Adapter) -> None:
    """Attaches an adapter; of the backbone its parameters alone learn."""
    own = list(backbone.parameters())
    adapter.attach(backbone)
    for parameter in own:
        parameter.requires_grad_(False)


__getattr__ = namespace("adapter")
