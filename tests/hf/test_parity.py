"""Models of `transformers`, read from their folders: the same scores, losses and gradients, by configuration alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lightformer
from lightformer.activations import activation_function
from lightformer.errors import CheckpointError
from lightformer.hf.settings import ACTIVATIONS
from tests.hf.measuring import (
    BATCHES,
    MOST,
    difference,
    measure,
    of_scores,
    without_positions,
)
from tests.hf.page import LEFT, PAGE
from tests.hf.theirs import CASES, all_cases, batch, theirs, transformers

GENERATE = all_cases("LMHeadModel", "ForCausalLM")
FIRST_TOKEN = (
    *("bert-nsp", "bert-classes", "bert-pretraining", "albert-classes", "albert-pretraining"),
    *("roberta-classes", "modernbert-classes"),
)
"""Theirs reads the padding on the left as the first token."""


@pytest.mark.parametrize("case", all_cases())
def test_scores_loss_and_every_gradient(case: str) -> None:
    found = measure(case)
    kinds = set(BATCHES) - ({"left"} if case in FIRST_TOKEN else set())
    for what in (found.scores, found.loss, found.gradients):
        assert set(what) == kinds
        assert max(what.values()) < MOST


def unaided(case: str) -> bool | None:
    """Whether theirs does not count padding on the left; None where it reads that as the first token."""
    if case in FIRST_TOKEN:
        return None
    return case.startswith(("roberta", "xlm", "llama", "modernbert"))


@pytest.mark.parametrize("case", all_cases())
def test_padding_that_theirs_counts(case: str) -> None:
    assert measure(case).unaided == unaided(case)


@pytest.mark.parametrize("case", GENERATE)
def test_sixty_four_greedy_tokens(case: str) -> None:
    assert measure(case).greedy


def test_the_page_is_what_is_measured() -> None:
    """Another machine rounds otherwise, and may be ten times as far, or as near."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines()]
    rows = {row[0]: row for row in cells if row[0] in CASES}
    assert set(rows) == set(CASES), "make the page anew: python -m tests.hf.page"
    for case, row in rows.items():
        found = measure(case)
        for said, what in zip(row[2:5], (found.scores, found.loss, found.gradients), strict=True):
            assert re.fullmatch(r"0|[1-9]e-\d+", said)
            assert max(what.values()) <= max(10 * float(said), 1e-6)
        assert row[5:] == [
            LEFT[unaided(case)],
            "same bits",
            "same" if case in GENERATE else "-",
        ]


@pytest.mark.parametrize("case", all_cases("ForMaskedLM", "LMHeadModel", "ForCausalLM"))
@torch.no_grad()
def test_bfloat16_differs_by_its_own_rounding(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    model.save_pretrained(tmp_path)
    task = lightformer.load(tmp_path)
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
        assert of_scores(lightformer.load(folder), model, batch(model, "right")) < MOST


@pytest.mark.parametrize("kind", ["llama3", "yarn"])
@pytest.mark.parametrize("beside", [None, {"rope_type": "linear", "factor": 3.0}])
@torch.no_grad()
def test_rotations_that_are_said_by_halves(
    kind: str, beside: dict[str, Any] | None, tmp_path: Path
) -> None:
    """Without the length of the training it is that of the model; rope_scaling comes before rope_parameters."""
    model = theirs(f"llama-clm-{kind}")
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["rope_parameters"]["original_max_position_embeddings"]
    settings |= {"rope_theta": 5000.0, "rope_scaling": beside, "max_position_embeddings": 640}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    found, given = lightformer.load(tmp_path), batch(model, "right")
    assert of_scores(found, again, given) < MOST
    assert of_scores(found, model, given) > 100 * MOST


@pytest.mark.parametrize(
    ("case", "beside"),
    [
        ("llama", {"original_max_position_embeddings": 64}),
        ("llama", {"partial_rotary_factor": 0.5}),
        ("llama-clm-tied", {"original_max_position_embeddings": 64}),
        ("llama-clm-yarn", {"original_max_position_embeddings": 500, "partial_rotary_factor": 1.0}),
        ("modernbert", {"rope_scaling": {}}),
    ],
)
@torch.no_grad()
def test_what_is_said_of_rotations_elsewhere(
    case: str, beside: dict[str, Any], tmp_path: Path
) -> None:
    """It counts where theirs asks for it, and nowhere else."""
    model = theirs(case)
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, **beside}))
    again = type(model).from_pretrained(tmp_path)
    assert of_scores(lightformer.load(tmp_path), again, batch(model, "right")) < MOST


def test_part_of_a_head_is_not_rotated_by_halves(tmp_path: Path) -> None:
    theirs("llama-clm-yarn").save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "partial_rotary_factor": 0.5}))
    with pytest.raises(
        CheckpointError, match=r"scales rotary positions with partial_rotary_factor 0\.5, which"
    ):
        lightformer.load(tmp_path)


def test_each_activation_is_theirs() -> None:
    values = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    for name, ours in ACTIVATIONS.items():
        found = activation_function(ours)(values)
        assert difference(found, transformers.activations.ACT2FN[name](values)) < 1e-9


@pytest.mark.parametrize("case", ["gpt2-classes", "llama-classes"])
@torch.no_grad()
def test_the_last_token_before_padding_that_no_mask_tells(case: str, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 1, 1], [5, 9, 7, 8, 10, 11]])
    model = theirs(case, pad_token_id=1)
    model.save_pretrained(tmp_path / "pads")
    task = lightformer.load(tmp_path / "pads")
    assert difference(task(ids), model(ids).logits) < MOST
    assert difference(task(ids[:1]), task(ids[:1, :4])) < MOST
    model = theirs(case, pad_token_id=None)  # then it is a word as any other
    model.save_pretrained(tmp_path / "none")
    ids = torch.tensor([[5, 6, 7, 0]])
    assert difference(lightformer.load(tmp_path / "none")(ids), model(ids).logits) < MOST


@pytest.mark.parametrize("case", all_cases("ForMaskedLM"))
@torch.no_grad()
def test_padding_that_no_mask_tells(case: str, tmp_path: Path) -> None:
    """RoBERTa knows it by its id, and does not count it; the others take it for text."""
    model = theirs(case)
    model.save_pretrained(tmp_path)
    given = batch(model, "left")
    whole = {"input_ids": given["input_ids"]}
    found, expected = lightformer.load(tmp_path)(**whole), model(**whole).logits
    is_token = given["attention_mask"].bool()
    assert difference(found[is_token], expected[is_token]) < MOST
