"""Metrics over a whole validation or test set, exact over batches and ranks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric

from lightformer.tasks.objective import Objective
from lightformer.tasks.samples import as_text


class MeanLoss(Metric):
    """The mean loss over all targets, whatever the batches; one that is not finite shows."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, objective: Objective) -> None:
        """Adds the targets of a batch."""
        self.total = self.total + objective.loss_sum()
        self.count = self.count + objective.count()

    def compute(self) -> Tensor:
        """Returns the mean, in nats."""
        return self.total / self.count


class Evaluation:
    """What is measured in one pass over a validation or test set.

    Args:
        metrics: by the batch key of the labels, then by name; updated with (predicted, labels)
        device: of the model
    """

    def __init__(self, metrics: Mapping[str, Mapping[str, Metric]], device: torch.device) -> None:
        self.metrics = {
            key: {name: metric.to(device) for name, metric in own.items()}
            for key, own in metrics.items()
        }
        self.losses = {key: MeanLoss().to(device) for key in metrics}

    def update(self, objectives: Mapping[str, Objective]) -> None:
        """Adds a batch."""
        for key, objective in objectives.items():
            if not objective.count():
                continue  # nothing was asked
            self.losses[key].update(objective)
            predicted, labels = objective.counted()
            for metric in self.metrics[key].values():
                metric.update(predicted, labels)

    def mean_losses(self) -> dict[str, Tensor]:
        """Returns the mean loss of each objective, over all ranks."""
        return {key: loss.compute() for key, loss in self.losses.items()}

    def values(self) -> dict[str, Tensor]:
        """Returns each metric by its name, over all ranks."""
        return {name: m.compute() for own in self.metrics.values() for name, m in own.items()}


def confusion_table(counts: Tensor, labels: tuple[str, ...]) -> str:
    """Returns a confusion matrix as a Markdown table: rows are right labels, columns are predicted ones."""
    names = [as_text(name) for name in labels]
    head = "| right \\ predicted | " + " | ".join(names) + " |"
    rows = [
        f"| **{name}** | " + " | ".join(str(int(n)) for n in row) + " |"
        for name, row in zip(names, counts, strict=True)
    ]
    return "\n".join((head, "|---" * (len(names) + 1) + "|", *rows))
