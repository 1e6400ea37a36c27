"""`generate` and `fill-mask` with models that were trained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.harness import here


@pytest.fixture(scope="module")
def causal(trained) -> Path:
    return trained("clm") / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def masked(trained) -> Path:
    return trained("mlm") / "checkpoints" / "best.ckpt"


def generated(causal: Path, tmp_path: Path, *words: object) -> str:
    done = here(
        "generate", causal, "--prompt", "Return the", "--max_new_tokens", 17, *words, cwd=tmp_path
    )
    assert done.code == 0, done.err
    return done.out


def test_the_prompt_is_kept_and_gone_on_from(causal: Path, tmp_path: Path) -> None:
    text = generated(causal, tmp_path, "--seed", 3)
    assert text.startswith("Return the")
    assert len(text) > len("Return the\n")


def test_a_seed_repeats(causal: Path, tmp_path: Path) -> None:
    one, again, other = (generated(causal, tmp_path, "--seed", seed) for seed in (3, 3, 5))
    assert one == again != other


def test_a_cache_changes_nothing(causal: Path, tmp_path: Path) -> None:
    with_it = generated(causal, tmp_path, "--greedy")
    assert generated(causal, tmp_path, "--greedy", "--no-cache") == with_it
    sampled = generated(causal, tmp_path, "--seed", 3)
    assert generated(causal, tmp_path, "--seed", 3, "--no-cache") == sampled != with_it


def test_samples_stand_apart(causal: Path, tmp_path: Path) -> None:
    texts = generated(causal, tmp_path, "--num_samples", 3, "--seed", 7).split("\n---\n")
    assert len(set(texts)) == 3
    assert all(text.startswith("Return the") for text in texts)


def test_a_prompt_longer_than_the_model_is_meant_for(causal: Path, tmp_path: Path) -> None:
    done = here(
        "generate",
        causal,
        "--prompt",
        "Return the list. " * 60,
        "--max_new_tokens",
        3,
        cwd=tmp_path,
    )
    assert done.code in (0, 2)
    assert "Traceback" not in done.err


def test_gaps_are_filled_with_probabilities(masked: Path, tmp_path: Path) -> None:
    done = here("fill-mask", masked, "Return the [MASK] of a [MASK].", "--top_k", 3, cwd=tmp_path)
    assert done.code == 0, done.err
    shares = [
        [float(p) for p in re.findall(r"^ +(\d+\.\d)%  .+", part, re.MULTILINE)]
        for part in done.out.split("[MASK]")[1:]
    ]
    assert [len(part) for part in shares] == [3, 3]
    for part in shares:
        assert part == sorted(part, reverse=True)
        assert 0 < sum(part) <= 100


def test_a_text_without_a_gap_is_refused(masked: Path, tmp_path: Path) -> None:
    done = here("fill-mask", masked, "Return the list.", cwd=tmp_path)
    assert done.code == 2
    assert "[MASK]" in done.error
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "name", "sentence"),
    [
        ("generate", "mlm", "generate needs a causal model, but {} holds a MaskedLM."),
        ("fill-mask", "clm", "fill-mask needs a masked model, but {} holds a CausalLM."),
        (
            "generate",
            "classification",
            "generate needs a causal model, but {} holds a SequenceClassification.",
        ),
    ],
)
def test_another_kind_of_model_is_refused(
    trained, tmp_path: Path, command: str, name: str, sentence: str
) -> None:
    checkpoint = trained(name) / "checkpoints" / "best.ckpt"
    done = here(
        command, checkpoint, *(["a [MASK]"] if command == "fill-mask" else []), cwd=tmp_path
    )
    assert (done.code, done.err) == (4, f"error: {sentence.format(checkpoint)}\n")
