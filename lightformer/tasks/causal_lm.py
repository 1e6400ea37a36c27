"""Causal language modeling: predict each token from those before it (GPT)."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from lightformer.errors import ConfigError
from lightformer.generation import Sampling, generate
from lightformer.heads import TokenHead
from lightformer.plain import from_plain
from lightformer.tasks.base import Batch, Task
from lightformer.tasks.language_model import at_labels, perplexity, token_accuracy
from lightformer.tasks.objective import IGNORED, Objective
from lightformer.tasks.samples import continuations
from lightformer.tasks.texts import encoded


class CausalLM(Task):
    """Predicts each token from those before it.

    Reads `input_ids` and `next_token_labels`, which hold at each position the token that comes next. Without
    these it shifts `labels`, which are `input_ids` with -100 where nothing is asked, or else `input_ids`. Logs
    `loss`, `perplexity` and `accuracy`.

    Paper: Radford et al., 2018, Improving Language Understanding by Generative Pre-Training

    Args:
        tied: whether the head shares the matrix of the token embedding
    """

    data_defaults: ClassVar[dict[str, str]] = {"examples": "windows"}
    default_is_causal = True

    def __init__(self, tied: bool = True, **options: Any) -> None:
        super().__init__(**options)
        if not self.backbone.is_causal:
            raise ConfigError(
                "CausalLM must not see what it predicts, but backbone.is_causal is false; set it to true, "
                "or leave it out."
            )
        self.head = TokenHead(
            self.backbone.embeddings.token,
            hidden_size=self.backbone.config.hidden_size,
            tied=tied,
        )
        self.keep(tied=tied)
        self.finish()

    def forward(self, input_ids: Tensor, **inputs: Any) -> Tensor:
        """Returns the score of every token as the next one, (batch, seq, vocab_size)."""
        return self.head(self.hidden_states({"input_ids": input_ids, **inputs}))

    def objectives(self, batch: Batch) -> dict[str, Objective]:
        hidden_states, labels = at_labels(self.hidden_states(batch), _next_tokens(batch))
        return {"next_token_labels": Objective(self.head(hidden_states), labels)}

    def new_metrics(self) -> dict[str, dict[str, Metric]]:
        return {"next_token_labels": {"accuracy": token_accuracy(self.vocabulary.size)}}

    def derived_metrics(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"perplexity": perplexity(values["loss"])}

    def describe(self, batch: Batch, tokenizer: Any, limit: int = 4) -> str:
        return continuations(self, batch, tokenizer, limit)

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, Any]]:
        """Returns, for each row, the mean loss of its tokens in nats, and their number."""
        labels = _next_tokens(batch)
        scores = self.head(self.hidden_states(batch)).float()
        losses = F.cross_entropy(scores.mT, labels, ignore_index=IGNORED, reduction="none")
        counts = (labels != IGNORED).sum(dim=1)
        means = losses.sum(dim=1) / counts.clamp(min=1)
        return [
            {"loss": float(loss), "tokens": int(count)}
            for loss, count in zip(means, counts, strict=True)
        ]

    def generate(
        self,
        input_ids: Tensor,
        max_new_tokens: int,
        sampling: Sampling = Sampling(),
        *,
        attention_mask: Tensor | None = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Returns new tokens, (batch, max_new_tokens); after an end of document, padding.

        Args:
            input_ids: (batch, seq), the prompts, padded on the left where they differ in length
            max_new_tokens: how many tokens are added
            sampling: how each one is chosen
            attention_mask: (batch, seq) bool, False on padding
            use_cache: whether earlier tokens are remembered; without, each step reads all of them again
        """
        return generate(
            self.backbone,
            self.head,
            input_ids,
            max_new_tokens,
            sampling,
            vocabulary=self.vocabulary,
            attention_mask=attention_mask,
            use_cache=use_cache,
        )

    def generate_text(
        self,
        prompt: str,
        max_new_tokens: int = 100,
        *,
        num_samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        seed: int | None = None,
        use_cache: bool = True,
    ) -> list[str]:
        """Returns continuations of a prompt, each with the prompt in front.

        Args:
            prompt: text to go on from; where it is empty, a new document begins
            max_new_tokens: how many tokens are added
            num_samples: how many continuations
            temperature: below 1 the likely become likelier, above 1 all become alike
            top_k: only so many of the likeliest are in the running
            top_p: only the likeliest that together have this probability are in the running
            greedy: whether the likeliest token is always taken
            seed: the same seed gives the same text
            use_cache: whether earlier tokens are remembered
        """
        if from_plain(int, num_samples, "num_samples") < 1:
            raise ConfigError(f"num_samples must be at least 1, but is {num_samples}.")
        (prompted,) = encoded(self, [from_plain(str, prompt, "prompt")])
        ids = [*self.vocabulary.prompt_ids, *prompted]
        start = self.vocabulary.eos_id
        if not ids:
            ids = [start if start is not None else 0]
        input_ids = torch.tensor([ids] * num_samples, device=self.device)
        sampling = Sampling(0.0 if greedy else temperature, top_k, top_p, seed)
        new = self.generate(input_ids, max_new_tokens, sampling, use_cache=use_cache)
        read = torch.cat((input_ids, new), dim=1)
        return [self.tokenizer.decode(row.tolist()) for row in read]


def _next_tokens(batch: Batch) -> Tensor:
    """The token after each position, (batch, seq); nothing comes after the last, and no padding is predicted."""
    if "next_token_labels" in batch:
        return cast(Tensor, batch["next_token_labels"])
    ids: Tensor = batch["input_ids"]
    asked: Tensor = batch.get("labels", ids)
    if bool(((asked != ids) & (asked != IGNORED)).any()):
        raise ConfigError(
            "CausalLM reads text as it is, but labels differ from input_ids, as those of masked text do; leave "
            "data.masking out."
        )
    labels = F.pad(asked[:, 1:], (0, 1), value=IGNORED)
    if (mask := batch.get("attention_mask")) is not None:
        mask = mask.bool()
        both = mask & F.pad(mask[:, 1:], (0, 1), value=False)
        labels = labels.masked_fill(~both, IGNORED)
    return labels
