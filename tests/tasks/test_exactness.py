"""The loss of an optimizer step is a mean over all its targets, however the step is cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tasks import steps
from tests.tasks.steps import DTYPES, TASKS, Gradients, InOrder, Watch, rows, step, task

TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
every_task = pytest.mark.parametrize("name", TASKS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def reference(name: str, dtype: str) -> tuple[dict[str, Tensor], Gradients]:
    """Losses and gradients of one batch, by plain autograd over the scores of all positions."""
    model, batch = task(name, dtype), rows()
    inputs = {k: batch[k] for k in ("attention_mask", "token_type_ids")}
    logits: Any = model(batch["input_ids"], **inputs)
    losses = {"masked_lm": F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())}
    if name == "bert":
        states: Any = model.hidden_states(batch)
        pooled = torch.tanh(model.pooler.dense(states[:, 0]))
        scores = model.next_sentence_head(pooled)
        losses["next_sentence"] = F.cross_entropy(scores, batch["next_sentence_labels"])
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    return {**losses, "total": total}, {n: p.grad for n, p in model.named_parameters()}


def assert_equal(found: Gradients, expected: Gradients, tolerance: float) -> None:
    """Equal relative to the size of each gradient."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        difference = (found[name] - value).norm() / value.norm()
        assert difference <= tolerance, f"{name}: {difference}"


@every_dtype
@every_task
@pytest.mark.parametrize("accumulate", [1, 4])
def test_micro_batches(name: str, dtype: str, accumulate: int) -> None:
    watch = step(name, dtype, accumulate_grad_batches=accumulate)
    losses, gradients = reference(name, dtype)
    assert_equal(watch.gradients, gradients, TOLERANCE[dtype])
    assert watch.logged[-1]["train/loss"] == pytest.approx(losses["total"].item(), rel=1e-5)


@every_task
def test_micro_batches_without_targets_and_of_other_sizes(name: str) -> None:
    loader = InOrder(8)
    counts = [int((batch["labels"] != -100).sum()) for batch in loader]
    assert counts[-1] == 0
    assert len(set(counts)) > 3
    watch = step(name, "float64", loader, accumulate_grad_batches=8)
    assert_equal(watch.gradients, reference(name, "float64")[1], 1e-9)


def test_an_epoch_that_ends_within_a_step() -> None:
    watch = step("masked_lm", "float64", InOrder(4), accumulate_grad_batches=7)
    assert_equal(watch.gradients, reference("masked_lm", "float64")[1], 1e-9)


def test_each_objective_has_its_own_count() -> None:
    logged = step("bert", "float64", accumulate_grad_batches=4).logged[-1]
    losses = reference("bert", "float64")[0]
    assert logged["train/masked_lm_loss"] == pytest.approx(losses["masked_lm"].item(), rel=1e-9)
    assert logged["train/next_sentence_loss"] == pytest.approx(
        losses["next_sentence"].item(), rel=1e-9
    )
    assert logged["train/perplexity"] == pytest.approx(losses["masked_lm"].exp().item(), rel=1e-9)


def test_a_step_without_targets_changes_nothing_and_is_finite() -> None:
    loader = InOrder(1)
    batch = loader.batches[0]
    batch["labels"] = torch.full_like(batch["labels"], -100)
    batch["num_targets"] = {"labels": torch.tensor(0)}
    watch = step("masked_lm", "float64", loader)
    assert not any(gradient.any() for gradient in watch.gradients.values())
    assert watch.logged[-1]["train/loss"] == 0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What two processes found that shared the step, 16 rows each."""
    path = tmp_path_factory.mktemp("ranks") / "found.pt"
    port, root = str(free_port()), str(Path(__file__).parents[2])
    ranks = [
        subprocess.Popen(
            [sys.executable, steps.__file__, str(path)],
            env={
                **os.environ,
                "LOCAL_RANK": str(rank),
                "NODE_RANK": "0",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "PYTHONPATH": root,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        said = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)[-3000:]
    return torch.load(path)


@every_dtype
@every_task
def test_two_ranks(name: str, dtype: str, two_ranks: Any) -> None:
    gradients, logged = two_ranks[name, dtype]
    losses, expected = reference(name, dtype)
    assert_equal(gradients, expected, TOLERANCE[dtype])
    assert logged[-1]["train/loss"] == pytest.approx(losses["total"].item(), rel=1e-5)


def test_without_counts_the_steps_of_one_batch_are_exact() -> None:
    loader = InOrder(1)
    del loader.batches[0]["num_targets"]
    watch: Watch = step("masked_lm", "float64", loader)
    assert_equal(watch.gradients, reference("masked_lm", "float64")[1], 1e-9)


def test_without_counts_accumulation_is_refused() -> None:
    loader = InOrder(4)
    for batch in loader.batches:
        del batch["num_targets"]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the sentence follows)
        step("masked_lm", "float64", loader, accumulate_grad_batches=4)
    assert str(caught.value) == (
        "accumulate_grad_batches is 4, but the batches do not say how many labels their optimizer "
        "step has; make them with lightformer.data.StepLoader, or set accumulate_grad_batches to 1."
    )
