"""Masked language modeling and next sentence prediction together, as BERT is pretrained."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from lightformer.activations import Activation
from lightformer.heads import Pooler, Pooling, TokenHead
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.language_model import at_labels, perplexity, token_accuracy
from lightformer.tasks.masked_lm import fill_mask, predicted_tokens
from lightformer.tasks.objective import Objective
from lightformer.tasks.samples import masked_tokens, next_sentences


class BertPretraining(Task):
    """Fills in hidden tokens of [CLS] A [SEP] B [SEP], and tells whether B follows A.

    The loss is the sum of both. Reads what `MaskedLM` and `NextSentencePrediction` read, and logs what they
    log, with `masked_lm_loss` and `next_sentence_loss`.

    Paper: Devlin et al., 2018, arXiv:1810.04805

    Args:
        tied: whether the token head shares the matrix of the token embedding
        head_activation: the nonlinearity of the token head
        pooling: what stands for a whole pair: the first token's hidden state, the last one's, or the mean
    """

    default_is_causal = False
    data_defaults: ClassVar[dict[str, str]] = {"examples": "sentence_pairs", "masking": "token"}
    headlines: ClassVar[dict[str, str]] = {
        "val/masked_lm_loss": "val/loss",
        "val/next_sentence_accuracy": "val/next_sentence_accuracy",
    }

    def __init__(
        self,
        tied: bool = True,
        pooling: Pooling = "first",
        head_activation: Activation = "gelu",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        config = self.backbone.config
        embedding = self.backbone.embeddings.token
        self.head = TokenHead(
            embedding,
            hidden_size=config.hidden_size,
            tied=tied,
            bias=True,
            norm=config.norm(embedding.embedding_dim),
            activation=head_activation,
        )
        self.pooler = Pooler(config.hidden_size, pooling, is_causal=self.backbone.is_causal)
        self.next_sentence_head = nn.Linear(config.hidden_size, 2)
        self.keep(tied=tied, pooling=pooling, head_activation=head_activation)
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns the score of every token at every position, (batch, seq, vocab_size)."""
        return self.head(self.hidden_states({"input_ids": input_ids, **inputs}))

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        labels = self.require(batch, "labels", "set data.masking to token")
        follows = self.require(batch, "next_sentence_labels", "set data.examples to sentence_pairs")
        hidden_states = self.hidden_states(batch)
        pooled = self.pooler(hidden_states, batch.get("attention_mask"))
        masked, labels = at_labels(hidden_states, labels)
        return {
            "labels": Objective(self.head(masked), labels),
            "next_sentence_labels": Objective(self.next_sentence_head(pooled), follows),
        }

    def objective_names(self) -> dict[str, str]:
        return {"labels": "masked_lm_loss", "next_sentence_labels": "next_sentence_loss"}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        accuracy = MulticlassAccuracy(num_classes=2, average="micro")
        return {
            "labels": {"masked_accuracy": token_accuracy(self.vocabulary.size)},
            "next_sentence_labels": {"next_sentence_accuracy": accuracy},
        }

    def derived_metrics(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"perplexity": perplexity(values["masked_lm_loss"])}

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each row, the likeliest token and the right one at each masked position."""
        return predicted_tokens(self, batch)

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        half = (limit + 1) // 2
        return "\n\n".join(
            (
                masked_tokens(self, batch, tokenizer, half),
                next_sentences(self, batch, tokenizer, half),
            )
        )

    @torch.inference_mode()
    def fill_mask(self, text: str, top_k: int = 5) -> list[list[tuple[str, float]]]:
        """Returns, for each mask in the text, the likeliest tokens with their probabilities.

        Args:
            text: with one or more `[MASK]`
            top_k: how many tokens for each mask
        """
        return fill_mask(self, text, top_k)
