"""What an attention and a position can do with length and with order, by small models on generated data.

    probe(attention.mha(), position.rope())

Two models of two layers are trained on the CPU. One reads a text (`Source`), and is then tried on the same tokens
behind 1, 2 and 4 times as many as it was trained with. The other copies, reverses and looks up, and is tried on
sequences as long as the longest of its training, and twice as long.

It compares parts that train alike for a few hundred steps, and says nothing of what more training would bring.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import optimizer, schedule
from lightformer.attention import AttentionSpec
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.checks import check_positive
from lightformer.heads import TokenHead
from lightformer.position import PositionSpec
from lightformer.testing.probe_data import IGNORED, SYMBOLS, TASKS, Source, generator, order_task

STEPS = 600
TEXT_LENGTH, SCORED, TIMES = 32, 16, (1, 2, 4)
"""Tokens that a model of text is trained with; of each text the last `SCORED` count, whatever stands before them."""
ORDER_LENGTH = 12
"""Most letters before the separator in the training; the whole is twice as long."""

Batch = tuple[Tensor, Tensor]
"""Inputs and labels, (rows, seq)."""


@dataclass(frozen=True)
class ProbeResult:
    """What came of a probe. A figure is None where the position ends before that length.

    Args:
        perplexities: of held-out text, at so many times the length of the training
        best: the perplexity of the same tokens to one who knows the source of the text
        accuracies: share of the answer's letters that are right, for each task at 1 and 2 times the longest
            sequence of the training
        seconds: processor time that it took
    """

    perplexities: dict[int, float | None]
    best: float
    accuracies: dict[str, dict[int, float | None]]
    seconds: float = field(compare=False)


class Reader(nn.Module):
    """A small causal model.

    Args:
        attention: of both layers
        position: how they tell places apart
        vocab_size: number of tokens
        max_seq_len: longest sequence of its training
    """

    def __init__(
        self, attention: AttentionSpec, position: PositionSpec, vocab_size: int, max_seq_len: int
    ) -> None:
        super().__init__()
        config = BackboneConfig(
            hidden_size=64,
            num_layers=2,
            num_heads=4,
            intermediate_size=128,
            max_seq_len=max_seq_len,
            attention=attention,
            position=position,
        )
        self.backbone = Backbone(config, vocab_size, is_causal=True)
        self.head = TokenHead(self.backbone.embeddings.token, tied=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Returns the score of every token, (batch, seq, vocab_size)."""
        return self.head(self.backbone(input_ids))

    def reads(self, length: int) -> bool:
        return self.backbone.longest is None or length <= self.backbone.longest


def probe(
    attention: AttentionSpec, position: PositionSpec, *, steps: int = STEPS, seed: int = 0
) -> ProbeResult:
    """Trains and tries a pair; the same seed gives the same figures.

    Args:
        attention: which attention
        position: which position
        steps: optimizer steps of each of the two models
        seed: of weights and data; the source of the text is always the same

    Raises:
        ConfigError: the two do not go together.
    """
    check_positive(steps, "steps")
    start = time.process_time()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        source = Source()
        reader = Reader(attention, position, source.vocab_size, TEXT_LENGTH)
        orderer = Reader(attention, position, SYMBOLS, 2 * ORDER_LENGTH)
        learn(reader, texts(source, steps, seed), steps)
        learn(orderer, tasks(steps, seed), steps)
        held_out = source.sample(512, max(TIMES) * TEXT_LENGTH + 1, unseen(seed))
        return ProbeResult(
            {times: perplexity(reader, held_out, times * TEXT_LENGTH) for times in TIMES},
            source.best_perplexity(held_out, SCORED),
            {
                task: {
                    times: accuracy(orderer, task, times * ORDER_LENGTH, seed) for times in (1, 2)
                }
                for task in TASKS
            },
            time.process_time() - start,
        )


def learn(model: Reader, batches: Iterator[Batch], steps: int) -> None:
    """Trains a model for so many steps."""
    chosen = optimizer.adamw(lr=5e-3, betas=(0.9, 0.98))(list(model.named_parameters()))
    planned = schedule.cosine(warmup_steps=steps // 12, final=0.05)(steps)
    rates = torch.optim.lr_scheduler.LambdaLR(chosen, planned.factor)
    for input_ids, labels in batches:
        loss = F.cross_entropy(model(input_ids).mT, labels, ignore_index=IGNORED)
        chosen.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        chosen.step()
        rates.step()


def texts(source: Source, steps: int, seed: int) -> Iterator[Batch]:
    """Yields text to learn from, all of it drawn but once."""
    rows = 32
    drawn = source.sample(rows * steps, TEXT_LENGTH + 1, seen(seed))
    for ids in drawn.view(steps, rows, -1):
        yield ids[:, :-1], ids[:, 1:]


def tasks(steps: int, seed: int) -> Iterator[Batch]:
    """Yields sequences of all tasks, of four lengths each; they share much of what is to be learnt."""
    numbers = seen(seed)
    for _ in range(steps):
        lengths = torch.randint(2, ORDER_LENGTH + 1, (len(TASKS), 4), generator=numbers).tolist()
        parts = [
            order_task(task, 8, length, numbers)
            for task, row in zip(TASKS, lengths, strict=True)
            for length in row
        ]
        width = max(ids.shape[1] for ids, _ in parts)
        inputs = [F.pad(ids, (0, width - ids.shape[1])) for ids, _ in parts]  # none looks ahead
        labels = [F.pad(asked, (0, width - asked.shape[1]), value=IGNORED) for _, asked in parts]
        yield torch.cat(inputs), torch.cat(labels)


@torch.no_grad()
def perplexity(model: Reader, ids: Tensor, length: int) -> float | None:
    """Returns that of the last tokens of each row, read with `length - SCORED` tokens before them."""
    if not model.reads(length):
        return None
    losses = [
        F.cross_entropy(
            model(rows[:, -length - 1 : -1])[:, -SCORED:].mT, rows[:, -SCORED:], reduction="none"
        )
        for rows in ids.chunk(4)
    ]
    return float(torch.cat(losses).mean().exp())


@torch.no_grad()
def accuracy(model: Reader, task: str, length: int, seed: int) -> float | None:
    """Returns the share of letters that are right in answers to new sequences."""
    input_ids, labels = order_task(task, 512, length, unseen(seed))
    if not model.reads(input_ids.shape[1]):
        return None
    asked = labels != IGNORED
    return float((model(input_ids).argmax(dim=-1) == labels)[asked].float().mean())


def seen(seed: int) -> torch.Generator:
    """Returns the numbers that training data is drawn from."""
    return generator(2 * seed)


def unseen(seed: int) -> torch.Generator:
    """Returns those that held-out data is drawn from."""
    return generator(2 * seed + 1)
