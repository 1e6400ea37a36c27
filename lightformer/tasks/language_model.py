"""What tasks that predict tokens share."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy


def perplexity(loss: Tensor) -> Tensor:
    """Returns e^loss: between how many tokens the model seems to choose."""
    return torch.exp(loss)


def token_accuracy(vocab_size: int) -> Metric:
    """Returns a metric: the share of tokens that are predicted exactly."""
    return MulticlassAccuracy(num_classes=max(2, vocab_size), average="micro")


def at_labels(hidden_states: Tensor, labels: Tensor, ignored: int = -100) -> tuple[Tensor, Tensor]:
    """Returns the hidden states, (targets, hidden), and labels, (targets,), of what is to be predicted.

    Only these go through the head: at 15% of the positions that is a seventh of its cost.
    """
    wanted = labels != ignored
    return hidden_states[wanted], labels[wanted]
