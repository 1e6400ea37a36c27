"""What a file of ONNX takes and gives: tensors by name, whatever the task."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightformer.tasks import BertPretraining, Encoder, Task

Batch = dict[str, Tensor]


class Graph(nn.Module):
    """A task as a function of tensors in a fixed order.

    Args:
        task: in evaluation mode
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        has_segments = task.backbone.config.num_segments > 0
        self.inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if has_segments else [])]
        self.outputs = _outputs(task)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """From tensors in the order of `inputs` to those in the order of `outputs`."""
        given = dict(zip(self.inputs, tensors, strict=True))
        given["attention_mask"] = given["attention_mask"].bool()
        if not isinstance(self.task, (Encoder, BertPretraining)):
            return (self.task(**given),)
        states = self.task.hidden_states(given)
        pooled = self.task.pooler(states, given["attention_mask"])
        if isinstance(self.task, Encoder):
            return states, pooled
        return self.task.head(states), self.task.next_sentence_head(pooled)

    def example(self, batch: int, length: int) -> Batch:
        """Returns inputs for it, of any whole size: tokens by chance, and padding on either side by turns.

        Args:
            batch: how many rows; the first is without padding
            length: of each row, padding included
        """
        draw = torch.Generator().manual_seed(batch * 1009 + length)
        shape, config = (batch, length), self.task.backbone.config
        row, column = torch.arange(batch)[:, None], torch.arange(length)
        padding = torch.where(row == 0, 0, length // 3)
        found = {
            "input_ids": torch.randint(self.task.vocabulary.size, shape, generator=draw),
            "attention_mask": torch.where(
                row % 2 == 1, column >= padding, column < length - padding
            ).long(),
        }
        if "token_type_ids" in self.inputs:
            found["token_type_ids"] = torch.randint(config.num_segments, shape, generator=draw)
        return found


def _outputs(task: Task) -> list[str]:
    if isinstance(task, Encoder):
        return ["hidden_states", "pooled"]
    return ["logits", *(["next_sentence_logits"] if isinstance(task, BertPretraining) else [])]
