"""Masked language modeling: fill in the words that are hidden (BERT, RoBERTa)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from lightformer.activations import Activation
from lightformer.errors import ConfigError
from lightformer.heads import TokenHead
from lightformer.plain import from_plain
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.language_model import at_labels, perplexity, token_accuracy
from lightformer.tasks.objective import IGNORED, Objective
from lightformer.tasks.samples import masked_tokens
from lightformer.tasks.texts import encoded


class MaskedLM(Task):
    """Predicts hidden tokens from what stands to both sides of them.

    Reads `input_ids`, in which some tokens are masked, and `labels`, the original tokens there. Logs `loss`,
    `perplexity` and `masked_accuracy`.

    Paper: Devlin et al., 2018, arXiv:1810.04805

    Args:
        tied: whether the head shares the matrix of the token embedding
        head_activation: the nonlinearity of the head
        head_bias: whether the linear map before it has a bias
    """

    default_is_causal = False
    data_defaults: ClassVar[dict[str, str]] = {"examples": "windows", "masking": "token"}

    def __init__(
        self,
        tied: bool = True,
        head_activation: Activation = "gelu",
        head_bias: bool = True,
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
            dense_bias=head_bias,
        )
        self.keep(tied=tied, head_activation=head_activation, head_bias=head_bias)
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns the score of every token at every position, (batch, seq, vocab_size)."""
        return self.head(self.hidden_states({"input_ids": input_ids, **inputs}))

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        labels = self.require(batch, "labels", "set data.masking to token")
        hidden_states, labels = at_labels(self.hidden_states(batch), labels)
        return {"labels": Objective(self.head(hidden_states), labels)}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        return {"labels": {"masked_accuracy": token_accuracy(self.vocabulary.size)}}

    def derived_metrics(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"perplexity": perplexity(values["loss"])}

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each row, the likeliest token and the right one at each masked position."""
        return predicted_tokens(self, batch)

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        return masked_tokens(self, batch, tokenizer, limit)

    @torch.inference_mode()
    def fill_mask(self, text: str, top_k: int = 5) -> list[list[tuple[str, float]]]:
        """Returns, for each mask in the text, the likeliest tokens with their probabilities.

        Args:
            text: with one or more `[MASK]`
            top_k: how many tokens for each mask
        """
        return fill_mask(self, text, top_k)


def predicted_tokens(task: Any, batch: Batch) -> list[dict[str, Any]]:
    """Returns, for each row, positions of masks, and the predicted and the right token ids there."""
    predicted = task.head(task.hidden_states(batch)).argmax(dim=-1)  # (batch, seq)
    rows = []
    for guess, label in zip(predicted, batch["labels"], strict=True):
        masked = label != IGNORED
        rows.append(
            {
                "positions": masked.nonzero()[:, 0].tolist(),
                "predicted_ids": guess[masked].tolist(),
                "label_ids": label[masked].tolist(),
            }
        )
    return rows


def fill_mask(task: Any, text: str, top_k: int) -> list[list[tuple[str, float]]]:
    """Fills the masks of a text with a task that can be called on `input_ids` and scores tokens."""
    if from_plain(int, top_k, "top_k") < 1:
        raise ConfigError(f"top_k must be at least 1, but is {top_k}.")
    vocabulary = task.vocabulary
    (ids,) = encoded(task, [from_plain(str, text, "text")])
    if vocabulary.mask_id not in ids:
        mask = task.tokenizer.decode([vocabulary.mask_id], skip_special_tokens=False)
        raise ConfigError(
            f"The text must have a mask to fill; write {mask} where a word is missing."
        )
    input_ids = torch.tensor([vocabulary.framed(ids)], device=task.device)
    was_training = task.training
    task.eval()
    logits = task(input_ids)[0].float()  # (seq, vocab_size)
    task.train(was_training)
    found = logits[input_ids[0] == vocabulary.mask_id]
    found[:, list(vocabulary.special_ids)] = -torch.inf  # a special token is never the missing word
    best = found.softmax(dim=-1).topk(min(top_k, found.shape[1]), dim=-1)
    return [
        [(task.tokenizer.decode([int(i)]), float(p)) for i, p in zip(row, shares, strict=True)]
        for row, shares in zip(best.indices, best.values, strict=True)
    ]
