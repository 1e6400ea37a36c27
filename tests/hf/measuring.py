"""How far a model that was read is from that of `transformers` which wrote it: what tests and page are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import lightformer
from lightformer.exchange import export_hf, import_hf
from lightformer.generation import Sampling
from lightformer.hf.families import FAMILIES
from lightformer.hf.names import Pair
from lightformer.tasks import CausalLM, Encoder, MaskedLM, SequenceClassification, Task
from tests.hf.theirs import CASES, LONGEST, VOCAB, batch, idle, scores, theirs

IGNORED = -100
SEED = 3
NAUGHT = 1e-6
"""A gradient below is rounding alone, such as that of a key's bias, and is compared with the largest of all."""

MOST = 1e-5

BATCHES = {"right": ("right", 13), "long": ("right", LONGEST), "left": ("left", 17)}
"""Rows padded on one side, and their length."""


@dataclass
class Parity:
    """What was measured of a case; differences are shares of the largest number.

    Args:
        scores: by the kind of batch
        loss: by the kind of batch
        gradients: the largest of any tensor, by the kind of batch
        unaided: whether theirs gives the same for rows padded on the left that come without position_ids
        same_bits: whether in and out again every tensor that is read is the same
        greedy: whether 64 tokens are those of `generate`; None where the model does not generate
    """

    scores: dict[str, float] = field(default_factory=dict)
    loss: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    unaided: bool | None = None
    same_bits: bool = False
    greedy: bool | None = None


def difference(found: Tensor, expected: Tensor) -> float:
    """Returns the largest difference, as a share of the largest number."""
    assert found.shape == expected.shape
    largest = float(expected.detach().abs().max())
    assert largest > 0
    return float((found - expected).detach().abs().max()) / largest


def without_positions(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours finds positions by the padding."""
    return {key: value for key, value in given.items() if key != "position_ids"}


def of_first_token(task: Task) -> bool:
    """Whether its head reads the first token, for which theirs takes padding on the left."""
    return (
        not isinstance(task, Encoder)
        and getattr(task, "pooler", None) is not None
        and (task.pooler.pooling == "first")
    )


@cache
def measure(case: str) -> Parity:
    """Returns all that is measured of a case."""
    found = Parity()
    with TemporaryDirectory() as name:
        model, folder = theirs(case), Path(name)
        model.save_pretrained(folder / "in")
        task = lightformer.load(folder / "in")
        for kind, (side, length) in BATCHES.items():
            if side == "left" and of_first_token(task):
                continue
            torch.manual_seed(SEED)
            given = batch(model, side, length)
            with torch.no_grad():
                found.scores[kind] = of_scores(task, model, given)
                if side == "left":
                    found.unaided = of_scores(task, model, without_positions(given)) < MOST
            found.loss[kind], found.gradients[kind] = of_loss(task, model, given, case)
        found.same_bits = same_bits(model, folder)
        if isinstance(task, CausalLM):
            found.greedy = same_words(case, folder / "longer")
    return found


def of_scores(task: Task, model: Any, given: dict[str, Tensor]) -> float:
    """Returns the difference of what two models say of a batch, padding left out of account."""
    expected, plain = scores(model(**given)), without_positions(given)
    is_token = given["attention_mask"].bool()
    if not is_token[:, 0].all():
        expected.pop("pooled", None)  # theirs is of the padding
    found = {"states": task, "tokens": task, "logits": task, "pair": lambda **x: pair(task, **x)}
    found["pooled"] = lambda **x: pooled(task, **x)
    differences = []
    for name, theirs_ in expected.items():
        ours = found[name](**plain)
        by_token = theirs_.ndim == 3
        parts = (ours[is_token], theirs_[is_token]) if by_token else (ours, theirs_)
        differences.append(difference(*parts))
    return max(differences)


def pooled(task: Any, **inputs: Tensor) -> Tensor:
    """Returns what stands for a whole text."""
    return task.pooler(task.hidden_states(inputs), inputs["attention_mask"].bool())


def pair(task: Any, **inputs: Tensor) -> Tensor:
    """Returns the scores of whether the second text follows."""
    return task.next_sentence_head(pooled(task, **inputs))


@torch.enable_grad()
def of_loss(task: Task, model: Any, given: dict[str, Tensor], case: str) -> tuple[float, float]:
    """Returns the difference of the losses, and the largest of any gradient."""
    model.zero_grad()
    task.zero_grad()
    if isinstance(task, Encoder):
        output, is_token = model(**given), given["attention_mask"].bool()
        plain, states = without_positions(given), output.last_hidden_state
        aim = torch.randn_like(states)[is_token]
        expected = (states[is_token] - aim).square().mean()
        found = (task(**plain)[is_token] - aim).square().mean()
        if "pooled" in scores(output) and is_token[:, 0].all():
            expected = expected + output.pooler_output.square().mean()
            found = found + pooled(task, **plain).square().mean()
    else:
        their_labels, our_labels = labelled(task, given)
        if case == "albert-pretraining":
            their_labels["sentence_order_label"] = their_labels.pop("next_sentence_label")
        expected = model(**given, **their_labels).loss
        parts = task.objectives({**without_positions(given), **our_labels}).values()
        found = torch.stack([part.loss_sum() / part.count() for part in parts]).sum()
    expected.backward()
    found.backward()
    return difference(found, expected), of_gradients(task, model)


def of_gradients(task: Task, model: Any) -> float:
    """Returns the largest difference of any gradient."""
    gradients = {name: _grad(p) for name, p in task.named_parameters()}
    seen: set[str] = set()
    compared = []
    for theirs_, own in named_pairs(model, task):
        if all(name in gradients for name in own.ours):
            seen |= set(own.ours)
            compared.append((own.write(gradients), _grad(theirs_)))
    assert seen == set(gradients)
    largest = max(float(expected.abs().max()) for _, expected in compared)
    return max(
        difference(found, expected)
        if float(expected.abs().max()) > NAUGHT
        else float(found.abs().max()) / largest
        for found, expected in compared
    )


def _grad(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def labelled(task: Task, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Labels as theirs and as ours."""
    rows, is_token = len(given["input_ids"]), given["attention_mask"].bool()
    if isinstance(task, SequenceClassification):
        labels = torch.tensor([2, 0, 1])
        return {"labels": labels}, {"labels": labels}
    if isinstance(task, CausalLM):  # theirs would have the first token predicted from padding
        after_token = torch.nn.functional.pad(is_token[:, :-1], (1, 0), value=True)
        labels = given["input_ids"].masked_fill(~(is_token & after_token), IGNORED)
        return {"labels": labels}, {"labels": labels}
    asked = torch.randint(0, VOCAB, given["input_ids"].shape)
    asked = asked.masked_fill(~is_token | (torch.rand(asked.shape) < 0.5), IGNORED)
    if isinstance(task, MaskedLM):
        return {"labels": asked}, {"labels": asked}
    follows = torch.arange(rows) % 2
    if hasattr(task, "head"):
        key = "next_sentence_label"
        return {"labels": asked, key: follows}, {"labels": asked, "next_sentence_labels": follows}
    return {"labels": follows}, {"next_sentence_labels": follows}


def named_pairs(model: Any, task: Task) -> Iterator[tuple[Tensor, Pair]]:
    """Their parameters, each with ours, by the tables with which folders are read."""
    family = FAMILIES[model.config.model_type]
    head = family.heads[type(model).__name__]
    parameters = dict(model.named_parameters(remove_duplicate=False))
    tied, bare = bool(model.config.tie_word_embeddings), head.task == "Encoder"
    for found in family.tensors(head, task.backbone.config, tied=tied, prefixed=not bare):
        if found.theirs in parameters and found.theirs not in idle(model):
            yield parameters[found.theirs], found


def same_bits(model: Any, folder: Path) -> bool:
    """Whether what comes out of a folder that was read has the same tensors as went in."""
    import_hf(folder / "in", folder / "ours")
    export_hf(folder / "ours" / "model.ckpt", folder / "out")
    before, after = (load_file(folder / name / "model.safetensors") for name in ("in", "out"))
    changed = [name for name in before if name not in after or not before[name].equal(after[name])]
    return before.keys() == after.keys() and changed == list(idle(model))


@torch.no_grad()
def same_words(case: str, folder: Path) -> bool:
    """Whether 64 tokens that follow prompts, padded on the left, are those of `generate`."""
    longer = {"n_positions": 101} if CASES[case][0] == "GPT2" else {"max_position_embeddings": 101}
    model = theirs(case, **longer, bos_token_id=None, eos_token_id=None)
    for name, parameter in model.named_parameters():
        if (
            ".layers." in name or ".h." in name
        ):  # else a tied model says the same word again and again
            parameter.data.mul_(3)
    model.save_pretrained(folder)
    task = lightformer.load(folder)
    assert isinstance(task, CausalLM)
    torch.manual_seed(SEED)
    given = batch(model, "left")
    prompt, is_token = given["input_ids"], given["attention_mask"]
    expected = model.generate(
        prompt, attention_mask=is_token, do_sample=False, max_new_tokens=64, pad_token_id=0
    )
    found = task.generate(prompt, 64, Sampling(temperature=0), attention_mask=is_token.bool())
    assert found.unique().numel() > 5
    return found.tolist() == expected[:, prompt.shape[1] :].tolist()
