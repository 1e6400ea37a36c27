"""Next sentence prediction: does the second text follow the first? (BERT)"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from lightformer.heads import Pooler, Pooling
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.objective import Objective
from lightformer.tasks.samples import next_sentences


class NextSentencePrediction(Task):
    """Tells true continuations (class 0) from sentences of another document (class 1).

    Reads `input_ids` with `token_type_ids`, and `next_sentence_labels`. Logs `loss` and
    `next_sentence_accuracy`.

    Paper: Devlin et al., 2018, arXiv:1810.04805

    Args:
        pooling: what stands for a whole pair: the first token's hidden state, the last one's, or the mean
    """

    data_defaults: ClassVar[dict[str, str]] = {"examples": "sentence_pairs"}
    monitor: ClassVar[tuple[str, str]] = ("val/next_sentence_accuracy", "max")
    headlines: ClassVar[dict[str, str]] = {
        "val/next_sentence_accuracy": "val/next_sentence_accuracy",
    }

    def __init__(self, pooling: Pooling = "first", **options: Any) -> None:
        super().__init__(**options)
        hidden_size = self.backbone.config.hidden_size
        self.pooler = Pooler(hidden_size, pooling, is_causal=self.backbone.is_causal)
        self.next_sentence_head = nn.Linear(hidden_size, 2)
        self.keep(pooling=pooling)
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns the scores of "follows" and of "does not", (batch, 2)."""
        hidden_states = self.hidden_states({"input_ids": input_ids, **inputs})
        return self.next_sentence_head(self.pooler(hidden_states, inputs.get("attention_mask")))

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        labels = self.require(batch, "next_sentence_labels", "set data.examples to sentence_pairs")
        pooled = self.pooler(self.hidden_states(batch), batch.get("attention_mask"))
        return {"next_sentence_labels": Objective(self.next_sentence_head(pooled), labels)}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        accuracy = MulticlassAccuracy(num_classes=2, average="micro")
        return {"next_sentence_labels": {"next_sentence_accuracy": accuracy}}

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each pair, whether the second text follows, and with which probability."""
        pooled = self.pooler(self.hidden_states(batch), batch.get("attention_mask"))
        shares = self.next_sentence_head(pooled).float().softmax(dim=-1)[:, 0]
        return [{"follows": p > 0.5, "probability": p} for p in shares.tolist()]

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        return next_sentences(self, batch, tokenizer, limit)
