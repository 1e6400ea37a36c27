"""Text, one token at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightformer.backbone import Backbone
from lightformer.errors import ConfigError
from lightformer.vocabulary import Vocabulary


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen from the scores of all.

    Args:
        temperature: below 1 the likely become likelier, above 1 all become alike; 0 takes the likeliest
        top_k: only so many of the likeliest are in the running
        top_p: only the likeliest that together have this probability are in the running
            (Holtzman et al., 2019, arXiv:1904.09751)
        seed: makes the choice repeatable; None for a new one each time
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"temperature must not be negative, but is {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be at least 1, but is {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be above 0 and at most 1, but is {self.top_p}.")

    def chooser(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Returns a function from scores, (batch, vocab_size), to token ids, (batch,)."""
        generator = torch.Generator(device)
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed)

        def choose(logits: Tensor) -> Tensor:
            if self.temperature == 0:
                return logits.argmax(dim=-1)
            shares = self.narrow(logits.float() / self.temperature).softmax(dim=-1)
            return torch.multinomial(shares, 1, generator=generator)[:, 0]

        return choose

    def narrow(self, logits: Tensor) -> Tensor:
        """Returns the scores with those out of the running at minus infinity."""
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k, dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            ordered, order = logits.sort(dim=-1, descending=True)
            before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
            out = torch.zeros_like(logits, dtype=torch.bool)
            out = out.scatter(1, order, before >= self.top_p)  # the first is never out
            logits = logits.masked_fill(out, -torch.inf)
        return logits


@torch.inference_mode()
def generate(
    backbone: Backbone,
    head: nn.Module,
    input_ids: Tensor,
    max_new_tokens: int,
    sampling: Sampling,
    *,
    vocabulary: Vocabulary,
    attention_mask: Tensor | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Returns new tokens, (batch, max_new_tokens); after an end, padding.

    Where positions come to an end, the model reads the last half of them again, and goes on.

    Args:
        backbone: causal
        head: from hidden states to scores of tokens
        input_ids: (batch, seq), prompts, padded on the left where they differ in length
        max_new_tokens: how many tokens are added
        sampling: how each is chosen
        vocabulary: knows what ends a text, and padding
        attention_mask: (batch, seq) bool, False on padding
        use_cache: whether earlier tokens are remembered

    Raises:
        ConfigError: the backbone is not causal, or `max_new_tokens` is negative.
    """
    if not backbone.is_causal:
        raise ConfigError(
            "generate needs a causal backbone, but this one looks to both sides, and was never asked for the token "
            "that comes next; set is_causal to true, and train it so."
        )
    if max_new_tokens < 0:
        raise ConfigError(f"max_new_tokens must not be negative, but is {max_new_tokens}.")
    was_training = backbone.training
    backbone.eval()
    choose = sampling.chooser(input_ids.device)
    start, longest = input_ids.shape[1], backbone.longest
    is_token = attention_mask
    if is_token is None:
        is_token = torch.ones_like(input_ids, dtype=torch.bool)
    read = input_ids
    ended = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
    ends = torch.tensor(vocabulary.end_ids, dtype=torch.long, device=input_ids.device)
    cache = backbone.new_cache() if use_cache else None
    first, done = 0, 0
    padded = not bool(is_token.all())
    for _ in range(max_new_tokens):
        if longest is not None and read.shape[1] - first > longest:
            first, done = read.shape[1] - max(1, longest // 2), 0
            cache = backbone.new_cache() if use_cache else None
        new = read[:, first + done :]
        states = backbone(
            new,
            attention_mask=is_token[:, first:] if padded else None,
            cache=cache,
        )
        if cache is not None:
            done += new.shape[1]
        chosen = choose(head(states[:, -1]))
        chosen = chosen.masked_fill(ended, vocabulary.pad_id)
        read = torch.cat((read, chosen[:, None]), dim=1)
        is_token = torch.cat((is_token, ~ended[:, None]), dim=1)
        if vocabulary.end_ids:
            ended = ended | torch.isin(chosen, ends)
            if bool(ended.all()):
                break
    backbone.train(was_training)
    new = read[:, start:]
    missing = max_new_tokens - new.shape[1]
    return torch.nn.functional.pad(new, (0, missing), value=vocabulary.pad_id)
