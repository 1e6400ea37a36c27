"""Sequence classification: one label for a text, or for a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from lightformer.activations import Activation
from lightformer.errors import ConfigError
from lightformer.heads import Pooler, Pooling
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.objective import Objective
from lightformer.tasks.samples import classified
from lightformer.tasks.texts import encoded


class SequenceClassification(Task):
    """Tells to which class a text, or a pair of texts, belongs.

    Reads `input_ids` (with `token_type_ids` for pairs) and `labels`, (batch,). Logs `loss`, `accuracy`, and
    `precision`, `recall` and `f1` as means over the classes, and the confusion matrix.

    Args:
        pooling: what stands for a whole text: the mean over its tokens, the first token's hidden state (BERT),
            or the last one's (GPT)
        pooler: whether a linear map and a nonlinearity stand between that and the classes, as in BERT
        pooler_activation: that nonlinearity
        pooler_bias: whether that linear map has a bias
        pooler_norm: whether a norm comes after it (ModernBERT)
        classifier_dropout: probability of dropping an element before the classes
        classifier_bias: whether each class has a score of its own
    """

    monitor: ClassVar[tuple[str, str]] = ("val/accuracy", "max")
    headlines: ClassVar[dict[str, str]] = {"val/accuracy": "val/accuracy"}

    def __init__(
        self,
        pooling: Pooling = "mean",
        pooler: bool = False,
        pooler_activation: Activation = "tanh",
        pooler_bias: bool = True,
        pooler_norm: bool = False,
        classifier_dropout: float = 0.0,
        classifier_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if len(self.vocabulary.labels) < 2:
            raise ConfigError(
                f"Classification needs two labels or more, but the data has "
                f"{len(self.vocabulary.labels)}; use LabelledFiles or LabelledPythonDocs as data."
            )
        config = self.backbone.config
        self.pooler = Pooler(
            config.hidden_size,
            pooling,
            is_causal=self.backbone.is_causal,
            dense=pooler,
            activation=pooler_activation,
            bias=pooler_bias,
            norm=config.norm(config.hidden_size) if pooler_norm else None,
        )
        self.dropout = nn.Dropout(classifier_dropout)
        labels = len(self.vocabulary.labels)
        self.classifier = nn.Linear(config.hidden_size, labels, classifier_bias)
        self.keep(
            pooling=pooling,
            pooler=pooler,
            pooler_activation=pooler_activation,
            pooler_bias=pooler_bias,
            pooler_norm=pooler_norm,
            classifier_dropout=classifier_dropout,
            classifier_bias=classifier_bias,
        )
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns the score of each class, (batch, classes)."""
        return self._scores({"input_ids": input_ids, **inputs})

    def _scores(self, batch: Batch) -> Tensor:
        is_token = batch.get("attention_mask")
        if is_token is None and self.pooler.pooling == "last" and self.vocabulary.pads:
            is_token = batch["input_ids"] != self.vocabulary.pad_id
        pooled = self.pooler(self.hidden_states(batch), is_token)
        return self.classifier(self.dropout(pooled))

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        labels = self.require(batch, "labels", "use LabelledFiles or LabelledPythonDocs as data")
        if labels.ndim != 1:
            raise ConfigError(
                f"Classification needs one label for each text, but labels have shape "
                f"{tuple(labels.shape)}; use LabelledFiles or LabelledPythonDocs as data."
            )
        return {"labels": Objective(self._scores(batch), labels)}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        classes = len(self.vocabulary.labels)
        return {
            "labels": {
                "accuracy": MulticlassAccuracy(num_classes=classes, average="micro"),
                "precision": MulticlassPrecision(num_classes=classes, average="macro"),
                "recall": MulticlassRecall(num_classes=classes, average="macro"),
                "f1": MulticlassF1Score(num_classes=classes, average="macro"),
                "confusion_matrix": MulticlassConfusionMatrix(num_classes=classes),
            }
        }

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each row, its label and the probability of each class."""
        shares = self._scores(batch).float().softmax(dim=-1)
        names = self.vocabulary.labels
        return [
            {
                "label": names[int(row.argmax())],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row in shares
        ]

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        return classified(self, batch, tokenizer, limit)

    @torch.inference_mode()
    def classify(self, texts: Iterable[str]) -> list[dict[str, Any]]:
        """Returns, for each text, its label and the probability of each class."""
        results, found = [], encoded(self, texts)
        was_training = self.training
        self.eval()
        for ids in found:
            row = self.vocabulary.framed(ids, self.backbone.config.max_seq_len)
            results += self.predict_step({"input_ids": torch.tensor([row], device=self.device)}, 0)
        self.train(was_training)
        return results
