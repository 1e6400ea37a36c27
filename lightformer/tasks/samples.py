"""Some predictions in words, as Markdown, for TensorBoard."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from lightformer.generation import Sampling

INPUTS = ("attention_mask", "token_type_ids", "position_ids", "document_ids")
"""What a model reads of a batch beside its tokens."""


def as_text(text: str) -> str:
    """Text that cannot break out of a table or turn into markup."""
    text = re.sub(r"([\\`*_{}\[\]()#+!|-])", r"\\\1", text)
    return text.replace("<", "&lt;").replace("\n", " ⏎ ")


def _word(tokenizer: Any, token: int) -> str:
    """One token; white space as a mark that can be seen."""
    piece = tokenizer.decode([token])
    return as_text(piece.strip()) or ("⏎" if "\n" in piece else "␣")


def _tokens(row: Tensor, batch: dict[str, Any], number: int) -> Tensor:
    mask = batch.get("attention_mask")
    return row if mask is None else row[mask[number]]


@torch.inference_mode()
def masked_tokens(task: Any, batch: dict[str, Any], tokenizer: Any, limit: int) -> str:
    """Texts with the hidden tokens filled in: right ones bold, wrong ones with a ✗ and what was right."""
    inputs = {k: batch[k][:limit] for k in INPUTS if k in batch}
    logits = task(batch["input_ids"][:limit], **inputs)
    lines = []
    for row in range(len(logits)):
        predicted, labels = logits[row].argmax(dim=-1), batch["labels"][row]
        pieces, run = [], []
        for place in range(len(labels)):
            label = int(labels[place])
            if label == -100:
                run.append(int(batch["input_ids"][row, place]))
                continue
            pieces.append(as_text(tokenizer.decode(run)))
            run = []
            right = _word(tokenizer, label)
            guess = _word(tokenizer, int(predicted[place]))
            same = int(predicted[place]) == label
            pieces.append(f"**{right}**" if same else f"✗ {guess} (*{right}*)")
        pieces.append(as_text(tokenizer.decode(run)))
        lines.append(" ".join(piece for piece in pieces if piece))
    return "\n\n".join(lines)


@torch.inference_mode()
def next_sentences(task: Any, batch: dict[str, Any], tokenizer: Any, limit: int) -> str:
    """Pairs of texts, what was said of them, and what was right."""
    objective = task.objectives(batch)["next_sentence_labels"]
    says = ("follows", "does not follow")
    lines = ["| | first | second | predicted | right |", "|---|---|---|---|---|"]
    for row in range(min(limit, len(objective.labels))):
        ids = _tokens(batch["input_ids"][row], batch, row)
        types = _tokens(batch["token_type_ids"][row], batch, row)
        texts = [as_text(tokenizer.decode(ids[types == segment].tolist())) for segment in (0, 1)]
        predicted, label = int(objective.logits[row].argmax()), int(objective.labels[row])
        sign = "✓" if predicted == label else "✗"
        lines.append(f"| {sign} | {texts[0]} | {texts[1]} | {says[predicted]} | {says[label]} |")
    return "\n".join(lines)


@torch.inference_mode()
def classified(task: Any, batch: dict[str, Any], tokenizer: Any, limit: int) -> str:
    """Texts, right and wrong ones, with the predicted label and the right one."""
    objective, names = task.objectives(batch)["labels"], task.vocabulary.labels
    predicted = objective.logits.argmax(dim=-1)
    wrong_first = torch.argsort((predicted == objective.labels).long(), stable=True).tolist()
    half = limit // 2
    rows = [*wrong_first[:half], *reversed(wrong_first[half:])][:limit]
    lines = ["| | text | predicted | right |", "|---|---|---|---|"]
    for row in rows:
        text = as_text(tokenizer.decode(_tokens(batch["input_ids"][row], batch, row).tolist()))
        guess, label = int(predicted[row]), int(objective.labels[row])
        sign = "✓" if guess == label else "✗"
        lines.append(
            f"| {sign} | {text[:300]} | {as_text(names[guess])} | {as_text(names[label])} |"
        )
    return "\n".join(lines)


def continuations(task: Any, batch: dict[str, Any], tokenizer: Any, limit: int) -> str:
    """The start of some texts, and how the model goes on."""
    length = max(1, batch["input_ids"].shape[1] // 4)
    prompts = batch["input_ids"][: max(1, limit // 2), :length]
    lines = []
    for name, sampling in (
        ("likeliest", Sampling(temperature=0)),
        ("sampled", Sampling(temperature=0.8, top_p=0.95, seed=0)),
    ):
        new = task.generate(prompts, 40, sampling)
        for prompt, text in zip(prompts, new, strict=True):
            start, more = tokenizer.decode(prompt.tolist()), tokenizer.decode(text.tolist())
            lines.append(f"*{name}*: {as_text(start)} **{as_text(more)}**")
    return "\n\n".join(lines)
