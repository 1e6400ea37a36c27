"""The contract of a scaling of rotary positions, and the namespace of those that are registered."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from lightformer.errors import ConfigError
from lightformer.registry import Spec, namespace


class Scaling(ABC):
    """Stretches the wavelengths of rotary positions, for sequences longer than those of the training.

    A part is built by `part(**options)`.
    """

    attention_factor: float = 1.0
    """Factor of what turns in queries and keys, so that scores are multiplied by its square."""

    @abstractmethod
    def frequencies(self, frequencies: Tensor, rope_theta: float) -> Tensor:
        """Returns the angles, (turning / 2,), by which pairs of dimensions turn from one position to the next.

        Args:
            frequencies: those without scaling, rope_theta ** -(2 i / turning) for pair i, in radians
            rope_theta: base of the wavelengths
        """


class ScalingSpec(Spec, kind="scaling", builds=Scaling):
    """How rotary positions reach beyond the length of the training."""

    @abstractmethod
    def __call__(self) -> Scaling: ...


def check_factor(factor: float) -> None:
    """Refuses to shrink wavelengths.

    Raises:
        ConfigError: it is below 1.
    """
    if not factor >= 1:
        raise ConfigError(f"factor must be at least 1, which stretches nothing, but is {factor}.")


def check_original_max_seq_len(length: int) -> None:
    """Refuses a training without sequences.

    Raises:
        ConfigError: it is below 1.
    """
    if length < 1:
        raise ConfigError(f"original_max_seq_len must be at least 1, but is {length}.")


__getattr__ = namespace("scaling")
