"""A backbone by itself: hidden states, and one vector for a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lightformer.errors import ConfigError
from lightformer.heads import Pooler, Pooling, check_pooling, pool
from lightformer.plain import from_plain
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.objective import Objective
from lightformer.tasks.texts import encoded


class Encoder(Task):
    """Gives the hidden states of a text, and one vector for it; it predicts nothing, and so is not trained.

    What a pretrained model without a head is loaded as. To train it, give it a head: another task, whose
    `init_from` names it.

    Args:
        pooling: what stands for a whole text: the mean over its tokens, the first token's hidden state, or the last
            one's
        pooler: whether a linear map and tanh follow, as in BERT
    """

    def __init__(self, pooling: Pooling = "mean", pooler: bool = False, **options: Any) -> None:
        super().__init__(**options)
        backbone = self.backbone
        self.pooler = Pooler(
            backbone.config.hidden_size, pooling, is_causal=backbone.is_causal, dense=pooler
        )
        self.keep(pooling=pooling, pooler=pooler)
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns hidden states, (batch, seq, hidden)."""
        return self.hidden_states({"input_ids": input_ids, **inputs})

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        raise ConfigError(
            "An Encoder predicts nothing, so that it cannot be trained; choose a task such as "
            "SequenceClassification or MaskedLM, and give it this checkpoint as init_from."
        )

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each row, its vector."""
        pooled = self.pooler(self.hidden_states(batch), batch.get("attention_mask"))
        return [{"vector": row} for row in pooled.float().tolist()]

    @torch.inference_mode()
    def embed(
        self,
        texts: Iterable[str],
        *,
        pooling: Pooling = "mean",
        normalize: bool = True,
        batch_size: int = 32,
    ) -> Tensor:
        """Returns one vector for each text, (texts, hidden), of the hidden states alone.

        Args:
            texts: any number; what is longer than the model can read loses its end
            pooling: the mean over tokens, the first one, or the last one
            normalize: whether each has length 1, so that a product of two is the cosine between them
            batch_size: how many are read at a time
        """
        check_pooling(pooling, self.backbone.is_causal)
        if from_plain(int, batch_size, "batch_size") < 1:
            raise ConfigError(f"batch_size must be at least 1, but is {batch_size}.")
        longest = self.backbone.config.max_seq_len
        rows = [self.vocabulary.framed(ids, longest) for ids in encoded(self, texts)]
        was_training = self.training
        self.eval()
        found = [torch.empty(0, self.backbone.config.hidden_size, device=self.device)]
        for start in range(0, len(rows), batch_size):
            some = rows[start : start + batch_size]
            width = max(map(len, some))
            ids = torch.full((len(some), width), self.vocabulary.pad_id)
            for number, row in enumerate(some):
                ids[number, : len(row)] = torch.tensor(row)
            is_token = torch.arange(width) < torch.tensor([[len(row)] for row in some])
            ids, is_token = ids.to(self.device), is_token.to(self.device)
            states = self(ids, attention_mask=is_token)
            found.append(pool(states, is_token, pooling).float())
        self.train(was_training)
        vectors = torch.cat(found)
        return torch.nn.functional.normalize(vectors, dim=-1) if normalize else vectors
