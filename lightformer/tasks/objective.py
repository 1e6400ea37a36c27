"""A set of predictions with their targets, and the exact mean of their loss over an optimizer step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

IGNORED = -100
"""The label of what is not to be predicted."""


@dataclass(frozen=True)
class Objective:
    """Scores, and which class is right.

    Attributes:
        logits: (targets, classes)
        labels: (targets,), class numbers, or -100 for what does not count
    """

    logits: Tensor
    labels: Tensor

    def loss_sum(self) -> Tensor:
        """Returns the cross-entropy in nats, summed over the targets, in float32 or better."""
        logits = self.logits.double() if self.logits.dtype == torch.float64 else self.logits.float()
        return F.cross_entropy(logits, self.labels, ignore_index=IGNORED, reduction="sum")

    def count(self) -> Tensor:
        """Returns the number of targets that count."""
        return (self.labels != IGNORED).sum()

    def counted(self) -> tuple[Tensor, Tensor]:
        """Returns the predicted classes and the right ones, of the targets that count."""
        counts = self.labels != IGNORED
        return self.logits.argmax(dim=-1)[counts], self.labels[counts]


class StepMean:
    """The loss of an optimizer step: for each objective, the mean over ALL targets of the step.

    Lightning divides the loss of a micro-batch by their number, and strategies average gradients over the
    ranks: a mean of means, which is wrong as soon as micro-batches hold different numbers of targets. Here
    each micro-batch is divided by the number of targets of its whole step, over micro-batches and ranks.
    """

    def __init__(self) -> None:
        self.num_targets: dict[str, Tensor] = {}
        self.so_far: dict[str, Tensor] = {}

    def __call__(
        self,
        objectives: Mapping[str, Objective],
        batch: Mapping[str, Any],
        batch_idx: int,
        trainer: Trainer,
    ) -> Tensor:
        """Returns what `training_step` must return for one micro-batch.

        Args:
            objectives: what is predicted in it, by the batch key of the labels
            batch: the micro-batch; `num_targets` counts the targets of its step on this rank
            batch_idx: number of the micro-batch in its epoch
            trainer: knows the micro-batches of a step and the ranks
        """
        sums = {key: objective.loss_sum() for key, objective in objectives.items()}
        if batch_idx % trainer.accumulate_grad_batches == 0 or not self.num_targets:
            self.num_targets = self._count(objectives, batch, trainer)
            self.so_far = {key: value.new_zeros(()) for key, value in sums.items()}
        parts = {key: value / self.num_targets[key] for key, value in sums.items()}
        for key, value in parts.items():
            self.so_far[key] = self.so_far[key] + value.detach()
        # undoes the two divisions that Lightning and the strategy will make
        undo = trainer.accumulate_grad_batches * trainer.world_size
        return torch.stack(list(parts.values())).sum() * undo

    def totals(self, trainer: Trainer) -> dict[str, Tensor]:
        """Returns the loss of each objective in the step that ends, over all ranks."""
        keys = list(self.so_far)
        values = _sum_over_ranks(torch.stack([self.so_far[key] for key in keys]), trainer)
        return dict(zip(keys, values.unbind(), strict=True))

    def _count(
        self, objectives: Mapping[str, Objective], batch: Mapping[str, Any], trainer: Trainer
    ) -> dict[str, Tensor]:
        counts = batch.get("num_targets", {})
        known = all(key in counts for key in objectives)
        if not known and trainer.accumulate_grad_batches > 1:
            raise ConfigError(
                f"accumulate_grad_batches is {trainer.accumulate_grad_batches}, but the batches do not say "
                f"how many {', '.join(objectives)} their optimizer step has; make them with "
                "lightformer.data.StepLoader, or set accumulate_grad_batches to 1."
            )
        if not known:
            counts = {key: objective.count() for key, objective in objectives.items()}
        device = next(iter(objectives.values())).logits.device
        local = torch.stack([torch.as_tensor(counts[key], device=device) for key in objectives])
        totals = _sum_over_ranks(local, trainer).clamp(min=1)
        return dict(zip(objectives, totals.unbind(), strict=True))


def _sum_over_ranks(values: Tensor, trainer: Trainer) -> Tensor:
    if trainer.world_size == 1:
        return values
    reduced = trainer.strategy.reduce(values, reduce_op="sum")
    assert isinstance(reduced, Tensor)
    return reduced
