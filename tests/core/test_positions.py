"""Positions, compared with their formulas written out in float64."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

from lightformer import position
from lightformer.errors import ConfigError
from lightformer.position import default_positions
from lightformer.registry import Spec
from tests.variants import BATCH, HEAD_DIM, HEADS, HIDDEN, LONGEST, close, dimensions, variants

CPU = torch.device("cpu")


def rotated(states: Tensor, ids: Tensor, pairs: str, turning: int, theta: float) -> Tensor:
    """Each pair of dimensions as one complex number, turned by multiplication."""
    out = states.clone()
    for b, h, s in [
        (b, h, s) for b in range(2) for h in range(HEADS) for s in range(states.shape[2])
    ]:
        for pair in range(turning // 2):
            here = (pair, pair + turning // 2) if pairs == "half" else (2 * pair, 2 * pair + 1)
            angle = float(ids[b, s]) * theta ** (-2 * pair / turning)
            number = complex(*(float(states[b, h, s, i]) for i in here)) * cmath.exp(1j * angle)
            out[b, h, s, here[0]], out[b, h, s, here[1]] = number.real, number.imag
    return out


@pytest.mark.parametrize("pairs", ["half", "interleaved"])
@pytest.mark.parametrize(("partial", "turning"), [(1.0, 10), (0.4, 4)])
@pytest.mark.parametrize("theta", [10_000.0, 70.0])
def test_rope_turns_complex_numbers(pairs: str, partial: float, turning: int, theta: float) -> None:
    part = position.rope(pairs=pairs, partial=partial, rope_theta=theta)(dimensions())
    states = torch.randn(2, HEADS, 5, HEAD_DIM, dtype=torch.float64)
    ids = torch.randint(0, 5000, (2, 5))
    close(part.rotate(states, ids), rotated(states, ids, pairs, turning, theta), 1e-9)


@pytest.mark.parametrize("spec", [s for s in variants("position") if s.values[0].name == "rope"])
def test_rope_scores_depend_on_distance_alone(spec: Spec) -> None:
    part = spec(dimensions())
    query, key = torch.randn(2, 1, HEADS, 1, HEAD_DIM, dtype=torch.float64)

    def score(at_query: int, at_key: int) -> Tensor:
        ids = torch.tensor([[at_query]]), torch.tensor([[at_key]])
        return (part.rotate(query, ids[0]) * part.rotate(key, ids[1])).sum(dim=-1)

    close(score(5, 2), score(1005, 1002), 1e-9)
    assert (score(5, 2) - score(5, 3)).abs().min() > 1e-6


def test_rope_keeps_its_precision_in_a_cast_model() -> None:
    part, ids = position.rope()(dimensions()), torch.tensor([[4001]])
    states = torch.randn(1, HEADS, 1, HEAD_DIM).bfloat16()
    exact = part.rotate(states.double(), ids)
    close(part.bfloat16().rotate(states, ids).double(), exact, 0.03)


PUBLISHED = {
    3: [2**-4, 2**-8, 2**-2],
    8: [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256],
    12: [*(2.0**-i for i in range(1, 9)), *(2.0 ** -(i + 0.5) for i in range(4))],
}
"""By `get_slopes` of the authors' code: for no power of two, that of the next smaller, then every other
one of the next larger."""


@pytest.mark.parametrize("num_heads", PUBLISHED)
def test_alibi_lowers_scores_by_slope_times_distance(num_heads: int) -> None:
    part = position.alibi()(dimensions(num_heads=num_heads))
    queries, keys = torch.tensor([[4, 5], [0, 9]]), torch.tensor([[0, 4, 7], [1, 2, 3]])
    bias = part.bias(queries, keys)
    assert bias.shape == (2, num_heads, 2, 3)
    for b, h, i, j in [
        (b, h, i, j) for b in (0, 1) for h in range(num_heads) for i in (0, 1) for j in range(3)
    ]:
        expected = -PUBLISHED[num_heads][h] * abs(int(queries[b, i]) - int(keys[b, j]))
        assert math.isclose(bias[b, h, i, j], expected, rel_tol=1e-6)


@pytest.mark.parametrize("base", [10_000.0, 50.0])
def test_sinusoidal_is_sine_where_even_and_cosine_where_odd(base: float) -> None:
    ids = torch.tensor([[0, 1, 2, 300]])
    found = position.sinusoidal(base=base)(dimensions()).embed(ids)
    assert found.shape == (1, 4, HIDDEN)
    for s, place in enumerate(ids[0].tolist()):
        for i in range(HIDDEN):
            angle = place / base ** (2 * (i // 2) / HIDDEN)
            assert math.isclose(
                found[0, s, i], (math.cos if i % 2 else math.sin)(angle), abs_tol=5e-5
            )


def test_learned_looks_its_vectors_up() -> None:
    part = position.learned()(dimensions())
    ids = torch.tensor([[0, LONGEST - 1, 3], [1, 1, 0]])
    assert part.embed(ids).equal(part.embedding.weight[ids])
    assert part.longest == LONGEST
    assert part.embedding.weight.shape == (LONGEST, HIDDEN)


@pytest.mark.parametrize("spec", variants("position"))
def test_a_position_acts_somewhere_save_for_none(spec: Spec) -> None:
    part = spec(dimensions())
    query, key = torch.randn(2, BATCH, HEADS, 5, HEAD_DIM)
    one, other = torch.arange(5)[None], torch.tensor([[0, 2, 3, 7, 8]])
    hooks = (
        lambda ids: part.embed(ids),
        lambda ids: part.rotate(query, ids),
        lambda ids: part.bias(ids, ids),
        lambda ids: part.content_bias(query, key, ids, ids),
    )
    acts = [hook(one) is not None and not hook(one).equal(hook(other)) for hook in hooks]
    assert any(acts) == (spec.name != "none")
    assert part.acts_in_attention() == any(acts[1:])


def test_default_positions_count_up() -> None:
    assert default_positions(5, 0, None, None, CPU).tolist() == [[0, 1, 2, 3, 4]]


def test_default_positions_go_on_after_a_cache() -> None:
    assert default_positions(2, 3, None, None, CPU).tolist() == [[3, 4]]
    is_token = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]).bool()
    assert default_positions(2, 3, is_token, None, CPU).tolist() == [[1, 2], [3, 4]]


def test_default_positions_do_not_count_padding() -> None:
    is_token = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    found = default_positions(5, 0, is_token, None, CPU)
    assert found[0, 2:].tolist() == found[1, :3].tolist() == [0, 1, 2]
    assert found.min() == 0
    assert found.max() == 2


def test_default_positions_restart_in_each_document() -> None:
    documents = torch.tensor([[4, 4, 1, 1, 1, 4], [0, 1, 2, 2, 2, 2]])
    found = default_positions(6, 0, None, documents, CPU)
    assert found.tolist() == [[0, 1, 0, 1, 2, 0], [0, 0, 0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("spec", "sizes", "sentence"),
    [
        (
            position.rope(),
            {"head_dim": 7},
            "An even number of a head's dimensions must turn, but partial=1.0 of head_dim 7 is 7.",
        ),
        (
            position.rope(partial=0.3),
            {},
            "An even number of a head's dimensions must turn, but partial=0.3 of head_dim 10 is 3.",
        ),
        (
            position.rope(partial=1.2),
            {},
            "An even number of a head's dimensions must turn, but partial=1.2 of head_dim 10 is 12.",
        ),
        (position.rope(rope_theta=0.0), {}, "rope_theta must be above 0, but is 0.0."),
        (position.sinusoidal(base=-1.0), {}, "base must be above 0, but is -1.0."),
        (
            position.sinusoidal(),
            {"hidden_size": 15},
            "hidden_size must be even to hold pairs of sine and cosine, but is 15.",
        ),
    ],
)
def test_refusals(spec: Spec, sizes: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(dimensions(**sizes))
    assert str(caught.value) == sentence
