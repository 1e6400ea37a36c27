"""Sequences to probe a model with: a text whose best prediction is known, and three tasks of order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightformer.errors import ConfigError

IGNORED = -100
LETTERS = 24
TASKS = ("copy", "reverse", "lookup")
SYMBOLS = LETTERS + len(TASKS)
"""The letters, then the separator of each task, which says what is to be done."""
LAGS = ((3, 0.25), (7, 0.25))


class Source:
    """A text with structure at several ranges, whose next token is known as well as it can be.

    Each token repeats the one that stood so many places before it, with the share of that lag; else it is drawn by
    the token just before it (a Markov chain). Which of these it was, nothing tells. So the probability of each next
    token is a plain sum, and no model can do better than it.

    Args:
        seed: of the chain
        vocab_size: number of tokens
        lags: share of the tokens that repeat what stood so many places before
    """

    def __init__(
        self, seed: int = 0, vocab_size: int = 16, lags: tuple[tuple[int, float], ...] = LAGS
    ) -> None:
        drawn = torch.randn(vocab_size, vocab_size, generator=generator(seed))
        self.chain = (2.0 * drawn).softmax(dim=1)  # (token before, token)
        self.vocab_size, self.lags = vocab_size, dict(lags)
        self.reach = max(1, *self.lags)

    def probabilities(self, ids: Tensor) -> Tensor:
        """Returns those of the token after each position that has `reach` tokens up to itself.

        From (rows, seq) to (rows, seq - reach + 1, vocab_size).
        """
        found = (1.0 - sum(self.lags.values())) * self.chain[ids[:, self.reach - 1 :]]
        for lag, share in self.lags.items():
            repeated = ids[:, self.reach - lag : ids.shape[1] - lag + 1]
            found = found + share * F.one_hot(repeated, self.vocab_size)
        return found

    def sample(self, rows: int, length: int, numbers: torch.Generator) -> Tensor:
        """Returns pieces of the text, (rows, length)."""
        warm = 4 * self.reach  # the first tokens have none before them
        ids = torch.empty(rows, warm + length, dtype=torch.long)
        ids[:, : self.reach] = torch.randint(self.vocab_size, (rows, self.reach), generator=numbers)
        for place in range(self.reach, warm + length):
            ready = self.probabilities(ids[:, place - self.reach : place])[:, 0]
            ids[:, place] = torch.multinomial(ready, 1, generator=numbers)[:, 0]
        return ids[:, warm:].contiguous()

    def best_perplexity(self, ids: Tensor, scored: int) -> float:
        """Returns the perplexity of the last tokens of each row to one who knows the source."""
        after = self.probabilities(ids[:, :-1])[:, -scored:]
        chosen = after.gather(2, ids[:, -scored:, None])
        return float(chosen.log().mean().neg().exp())


def order_task(
    task: str, rows: int, length: int, numbers: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns inputs and labels of a task, (rows, seq): `length` letters, a separator, and the answer.

    - copy: different letters; the same ones follow
    - reverse: different letters; they follow from the last to the first
    - lookup: pairs of a key and a value; then each key in another order, labelled with its value

    Args:
        task: one of `TASKS`
        rows: number of sequences
        length: number of letters before the separator, at most `LETTERS`
        numbers: where they are drawn from
    """
    if task not in TASKS:
        raise ConfigError(f"task must be one of {', '.join(TASKS)}, but is {task!r}.")
    if not 2 <= length <= LETTERS:
        raise ConfigError(f"length must be from 2 to {LETTERS}, but is {length}.")
    letters = torch.rand(rows, LETTERS, generator=numbers).argsort(dim=1)[:, :length]
    separator = torch.full((rows, 1), LETTERS + TASKS.index(task))
    if task == "lookup":
        keys = letters[:, : length // 2]
        values = torch.randint(LETTERS, keys.shape, generator=numbers)
        order = torch.rand(keys.shape, generator=numbers).argsort(dim=1)
        letters = torch.stack((keys, values), dim=2).flatten(1)
        asked, answer = keys.gather(1, order), values.gather(1, order)
        ids = torch.cat((letters, separator, asked), dim=1)
    else:
        answer = letters if task == "copy" else letters.flip(1)
        ids = torch.cat((letters, separator, answer[:, :-1]), dim=1)
    return ids, F.pad(answer, (ids.shape[1] - answer.shape[1], 0), value=IGNORED)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
