"""Models of `transformers`, read from their folders: the same scores, losses and gradients, by configuration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lightformer
from lightformer.backbone_config import BackboneConfig
from lightformer.generation import Sampling
from lightformer.hf.families import FAMILIES
from lightformer.hf.names import pairs
from lightformer.tasks import CausalLM, Encoder, MaskedLM, SequenceClassification, Task
from tests.hf.theirs import LONGEST, VOCAB, all_cases, batch, idle, scores, theirs

IGNORED = -100


def ours(model: Any, folder: Path) -> Task:
    """The same model, by way of its folder."""
    model.save_pretrained(folder)
    return lightformer.load(folder)


def close(found: Tensor, expected: Tensor, most: float = 1e-5) -> None:
    """They differ by less than a share of the largest number."""
    assert found.shape == expected.shape
    largest = float(expected.detach().abs().max())
    assert largest > 0
    assert float((found - expected).detach().abs().max()) < most * largest


def without_positions(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours finds positions by the padding."""
    return {key: value for key, value in given.items() if key != "position_ids"}


def compare(task: Task, model: Any, given: dict[str, Tensor], most: float = 1e-5) -> None:
    expected = scores(model(**given))
    is_token = given["attention_mask"].bool()
    plain = without_positions(given)
    found = task(**plain)
    if "tokens" in expected:
        close(found[is_token], expected["tokens"][is_token], most)
        pooled = task.pooler(task.hidden_states(plain), is_token)
        close(task.next_sentence_head(pooled), expected["pair"], most)
    else:
        (theirs_,) = expected.values()
        by_token = theirs_.ndim == 3
        close(
            found[is_token] if by_token else found, theirs_[is_token] if by_token else theirs_, most
        )


@pytest.mark.parametrize("case", all_cases())
@torch.no_grad()
def test_scores(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    task = ours(model, tmp_path)
    compare(task, model, batch(model, "right"))
    compare(task, model, batch(model, "right", LONGEST))


FIRST_TOKEN = (
    "bert-nsp",
    "bert-classes",
    "albert-classes",
    "roberta-classes",
    "modernbert-classes",
)


@pytest.mark.parametrize("case", all_cases())
@torch.no_grad()
def test_scores_of_rows_that_are_padded_on_the_left(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    if case in FIRST_TOKEN or "pretraining" in case:
        pytest.skip("theirs reads the padding as the first token")
    compare(ours(model, tmp_path), model, batch(model, "left", 17))


def labelled(task: Task, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Labels as theirs and as ours."""
    rows, is_token = len(given["input_ids"]), given["attention_mask"].bool()
    if isinstance(task, SequenceClassification):
        labels = torch.tensor([2, 0, 1])
        return {"labels": labels}, {"labels": labels}
    asked = torch.randint(0, VOCAB, given["input_ids"].shape)
    asked = asked.masked_fill(~is_token | (torch.rand(asked.shape) < 0.5), IGNORED)
    if isinstance(task, MaskedLM):
        return {"labels": asked}, {"labels": asked}
    if isinstance(task, CausalLM):
        labels = given["input_ids"].masked_fill(~is_token, IGNORED)
        return {"labels": labels}, {"labels": labels}
    pair = torch.arange(rows) % 2
    if hasattr(task, "head"):
        key = "next_sentence_label"
        return {"labels": asked, key: pair}, {"labels": asked, "next_sentence_labels": pair}
    return {"labels": pair}, {"next_sentence_labels": pair}


@pytest.mark.parametrize("case", all_cases())
def test_loss_and_every_gradient(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    task = ours(model, tmp_path)
    given = batch(model, "right")
    if isinstance(task, Encoder):
        weight = torch.randn(3, 13, 30) * given["attention_mask"][..., None]
        expected = (model(**given).last_hidden_state * weight).sum()
        found = (task(**without_positions(given)) * weight).sum()
    else:
        their_labels, our_labels = labelled(task, given)
        if case == "albert-pretraining":
            their_labels["sentence_order_label"] = their_labels.pop("next_sentence_label")
        expected = model(**given, **their_labels).loss
        parts = task.objectives({**without_positions(given), **our_labels}).values()
        found = torch.stack([part.loss_sum() / part.count() for part in parts]).sum()
    close(found, expected)
    expected.backward()
    found.backward()
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in task.named_parameters()
    }
    seen = set()
    for name, theirs_, pair in named_pairs(model, task):
        if all(own in gradients for own in pair.ours):
            grad = theirs_.grad if theirs_.grad is not None else torch.zeros_like(theirs_)
            seen |= set(pair.ours)
            if float(grad.abs().max()) > 1e-6:
                close(pair.write(gradients), grad)
            else:  # a key's bias, whose gradient is naught but rounding
                assert float(pair.write(gradients).abs().max()) < 1e-5, name
    assert seen == set(gradients)


def named_pairs(model: Any, task: Task) -> Any:
    """Their parameters, by the tables with which folders are read."""
    family = FAMILIES[model.config.model_type]
    head = family.heads[type(model).__name__]
    config: BackboneConfig = task.backbone.config
    blocks = config.num_layer_groups or config.num_layers
    parameters = dict(model.named_parameters())
    bare = head.task == "Encoder"
    tied = bool(model.config.tie_word_embeddings)
    for table, prefix, own in (
        (family.names, "" if bare else family.prefix, "backbone."),
        (head.names, "", ""),
    ):
        for pair in pairs(table, blocks, tied):
            name = prefix + (pair.theirs.removeprefix(family.prefix) if bare else pair.theirs)
            ours_ = tuple(own + part for part in pair.ours)
            if name in parameters and name not in idle(model):
                yield name, parameters[name], type(pair)(pair.theirs, ours_, pair.turned)


@pytest.mark.parametrize("case", ["gpt2-clm", "llama-clm-grouped", "llama-clm-llama3"])
@torch.no_grad()
def test_sixty_four_greedy_tokens(case: str, tmp_path: Path) -> None:
    longer = {"n_positions": 101} if case == "gpt2-clm" else {"max_position_embeddings": 101}
    model = theirs(case, **longer, bos_token_id=None, eos_token_id=None)
    task = ours(model, tmp_path)
    assert isinstance(task, CausalLM)
    given = batch(model, "left")
    prompt, is_token = given["input_ids"], given["attention_mask"]
    expected = model.generate(
        prompt, attention_mask=is_token, do_sample=False, max_new_tokens=64, pad_token_id=0
    )
    found = task.generate(prompt, 64, Sampling(temperature=0), attention_mask=is_token.bool())
    assert found.tolist() == expected[:, prompt.shape[1] :].tolist()
    assert found.unique().numel() > 5


@pytest.mark.parametrize("case", all_cases("ForMaskedLM", "LMHeadModel", "ForCausalLM"))
@torch.no_grad()
def test_bfloat16_differs_by_its_own_rounding(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    task = ours(model, tmp_path)
    given = batch(model, "right")
    is_token = given["attention_mask"].bool()
    exact = model(**given).logits[is_token]
    rounded = model.bfloat16()(**given).logits[is_token].float()
    found = task.bfloat16()(**without_positions(given))[is_token].float()
    error = float((rounded - exact).abs().mean())
    assert error > 0
    assert float((found - exact).abs().mean()) < 1.5 * error


@torch.no_grad()
def test_a_folder_of_transformers_4(tmp_path: Path) -> None:
    """Its settings had other names: rope_theta by itself, and layers counted."""
    import json

    for case, old in (
        ("llama-clm-llama3", {"rope_theta": 5000.0, "rope_scaling": None}),
        ("modernbert-mlm", {"global_attn_every_n_layers": 3, "local_rope_theta": 10000.0}),
    ):
        model = theirs(case)
        folder = tmp_path / case
        model.save_pretrained(folder)
        settings = json.loads((folder / "config.json").read_text())
        rope = settings.pop("rope_parameters")
        settings.pop("layer_types", None)
        settings |= old
        if "rope_scaling" in old:
            settings["rope_scaling"] = {k: v for k, v in rope.items() if k != "rope_theta"}
        (folder / "config.json").write_text(json.dumps(settings))
        compare(lightformer.load(folder), model, batch(model, "right"))
