"""Positions, compared with their formulas written out in float64."""

from __future__ import annotations

import cmath
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightformer import position, scaling
from lightformer.errors import ConfigError
from lightformer.plain import from_plain, to_plain
from lightformer.position import PositionSpec, default_positions
from lightformer.registry import Spec, find
from tests.variants import (
    BATCH,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    LONGEST,
    close,
    dimensions,
    enlarge,
    variants,
)

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


SCALINGS = [
    ("linear", {"factor": 3.0}),
    ("ntk", {"factor": 4.0}),
    ("yarn", {"factor": 4.0, "original_max_seq_len": 512}),
    ("yarn", {"factor": 16.0, "original_max_seq_len": 4096, "beta_fast": 20.0, "beta_slow": 2.0}),
    ("yarn", {"factor": 2.0, "original_max_seq_len": 97, "attention_factor": 1.3}),
    (
        "yarn",
        {"factor": 3.0, "original_max_seq_len": 200_000},
    ),  # the ramp ends beyond the last pair
    ("llama3", {"factor": 8.0, "original_max_seq_len": 8192}),
    (
        "llama3",
        {
            "factor": 5.0,
            "original_max_seq_len": 512,
            "low_freq_factor": 2.0,
            "high_freq_factor": 9.0,
        },
    ),
]
every_scaling = pytest.mark.parametrize(("name", "options"), SCALINGS)


def plain_frequencies(turning: int, theta: float) -> Tensor:
    pairs = [theta ** (-2 * i / turning) for i in range(turning // 2)]
    return torch.tensor(pairs, dtype=torch.float64)


def stretched(name: str, options: dict[str, Any], turning: int, theta: float) -> list[float]:
    """Frequencies by the formulas of the papers, one pair after the other."""
    found, factor = [], options["factor"]
    original = options.get("original_max_seq_len", 0)
    for i in range(turning // 2):
        wave = 2 * math.pi * theta ** (2 * i / turning)
        if name == "linear":
            share = 1.0
        elif name == "ntk":
            found.append((theta * factor ** (turning / (turning - 2))) ** (-2 * i / turning))
            continue
        elif name == "llama3":
            low, high = options.get("low_freq_factor", 1.0), options.get("high_freq_factor", 4.0)
            if wave < original / high:
                share = 0.0
            elif wave > original / low:
                share = 1.0
            else:
                share = 1 - (original / wave - low) / (high - low)
        else:
            ends = []
            for turns in (options.get("beta_fast", 32), options.get("beta_slow", 1)):
                longest = original / (turns * 2 * math.pi)
                ends.append(turning * math.log(longest) / (2 * math.log(theta)))
            first = max(math.floor(ends[0]), 0)
            last = min(math.ceil(ends[1]), turning - 1)
            share = min(max((i - first) / (last - first), 0.0), 1.0)
        found.append(2 * math.pi / wave * (1 - share) + 2 * math.pi / (wave * factor) * share)
    return found


@every_scaling
@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
@pytest.mark.parametrize("turning", [26, 128])
def test_scalings_follow_their_formulas(
    name: str, options: dict[str, Any], theta: float, turning: int
) -> None:
    part = find("scaling", name)(**options)()
    found = part.frequencies(plain_frequencies(turning, theta), theta)
    expected = stretched(name, options, turning, theta)
    torch.testing.assert_close(found.tolist(), expected, rtol=1e-12, atol=0.0)
    assert found.tolist() != plain_frequencies(turning, theta).tolist()


@every_scaling
@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
def test_scalings_agree_with_transformers(name: str, options: dict[str, Any], theta: float) -> None:
    transformers = pytest.importorskip("transformers")
    utils = pytest.importorskip("transformers.modeling_rope_utils")
    turning, length = 64, options.get("original_max_seq_len", 700)
    given = {k.replace("seq_len", "position_embeddings"): v for k, v in options.items()}
    # Its ntk grows with the sequence: factor * length / trained - (factor - 1), 4 here.
    given |= {"rope_type": "dynamic", "factor": 2.0} if name == "ntk" else {"rope_type": name}
    if name == "llama3":
        given = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, **given}
    config = transformers.LlamaConfig(
        hidden_size=3 * turning,
        num_attention_heads=3,
        max_position_embeddings=length if name == "ntk" else int(length * options["factor"]),
        rope_theta=theta,
        rope_scaling=given,
    )
    rule = utils.ROPE_INIT_FUNCTIONS[given["rope_type"]]
    expected, attention_factor = rule(config, torch.device("cpu"), seq_len=5 * length // 2)
    part = position.rope(rope_theta=theta, scaling=find("scaling", name)(**options))(
        dimensions(head_dim=turning)
    )
    found = part.frequencies(torch.float32, CPU)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)
    assert math.isclose(part.scaling.attention_factor, attention_factor, rel_tol=1e-12)


@every_scaling
@pytest.mark.parametrize("pairs", ["half", "interleaved"])
def test_rope_turns_by_scaled_angles(name: str, options: dict[str, Any], pairs: str) -> None:
    spec = find("scaling", name)(**options)
    part = position.rope(pairs=pairs, partial=0.8, scaling=spec)(dimensions())
    states, place = torch.randn(1, 1, 1, HEAD_DIM, dtype=torch.float64), 1201
    found = part.rotate(states, torch.tensor([[place]]))[0, 0, 0]
    size = {"yarn": options.get("attention_factor", 1 + 0.1 * math.log(options["factor"]))}
    for i, angle in enumerate(stretched(name, options, 8, 10_000.0)):
        here = [i, i + 4] if pairs == "half" else [2 * i, 2 * i + 1]
        number = complex(*states[0, 0, 0, here].tolist()) * cmath.exp(1j * place * angle)
        number *= size.get(name, 1.0)
        close(complex(*found[here].tolist()), number)
    assert found[8:].equal(states[0, 0, 0, 8:])


@pytest.mark.parametrize("spec", variants("scaling"))
def test_scalings_stretch_long_waves_and_never_shorten_one(spec: Spec) -> None:
    old = plain_frequencies(64, 10_000.0)
    ratio = old / spec().frequencies(old, 10_000.0)
    close(ratio[-1], torch.tensor(spec.options()["factor"], dtype=torch.float64))
    assert ratio.min() >= 1
    assert (ratio.diff() >= -1e-12).all()
    assert spec().frequencies(old.float(), 10_000.0).dtype == torch.float32


@pytest.mark.parametrize("spec", variants("scaling"))
def test_a_factor_of_one_stretches_nothing(spec: Spec) -> None:
    old = plain_frequencies(64, 10_000.0)
    part = type(spec)(**{**spec.options(), "factor": 1.0})()
    close(part.frequencies(old, 10_000.0), old)
    assert part.attention_factor == 1.0


def test_a_config_holds_a_scaling() -> None:
    plain = {"name": "yarn", "factor": 4.0, "original_max_seq_len": 512}
    found = from_plain(PositionSpec, {"name": "rope", "scaling": plain})
    assert found == position.rope(scaling=scaling.yarn(factor=4.0, original_max_seq_len=512))
    assert from_plain(PositionSpec, to_plain(found)) == found


def test_yarn_stretches_every_wave_that_a_short_training_hardly_turned() -> None:
    part = scaling.yarn(factor=4.0, original_max_seq_len=3)()
    old = plain_frequencies(64, 10_000.0)
    close(part.frequencies(old, 10_000.0)[1:], old[1:] / 4)


def test_ntk_works_with_one_pair() -> None:
    part = position.rope(scaling=scaling.ntk(factor=4.0))(dimensions(head_dim=2))
    assert part.frequencies(torch.float64, CPU).tolist() == [1.0]


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


def bucket(step: int, num_buckets: int, max_distance: int, bidirectional: bool) -> int:
    """As the T5 paper tells it: half of the buckets one distance each, the other half logarithmic."""
    start = 0
    if bidirectional:
        num_buckets //= 2
        start = num_buckets if step > 0 else 0
        distance = abs(step)
    else:
        distance = max(-step, 0)
    exact = num_buckets // 2
    if distance < exact:
        return start + distance
    share = math.log(distance / exact) / math.log(max_distance / exact)
    wide = math.floor(share * (num_buckets - exact) + 1e-9)  # a start of a bucket is in it
    return start + min(exact + wide, num_buckets - 1)


BUCKETS = [(32, 128, True), (32, 128, False), (6, 5, True), (7, 50, False), (64, 1000, True)]


@pytest.mark.parametrize(("num_buckets", "max_distance", "bidirectional"), BUCKETS)
def test_t5_learns_a_bias_for_each_bucket_and_head(
    num_buckets: int, max_distance: int, bidirectional: bool
) -> None:
    form = (num_buckets, max_distance, bidirectional)
    spec = position.t5(
        num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional
    )
    part = enlarge(spec(dimensions()).double())
    queries, keys = torch.randint(0, 300, (2, 5)), torch.randint(0, 300, (2, 11))
    bias = part.bias(queries, keys)
    assert bias.shape == (2, HEADS, 5, 11)
    for b, i, j in [(b, i, j) for b in (0, 1) for i in range(5) for j in range(11)]:
        row = bucket(int(keys[b, j] - queries[b, i]), *form)
        assert bias[b, :, i, j].equal(part.embedding.weight[row])


@pytest.mark.parametrize(("num_buckets", "max_distance", "bidirectional"), BUCKETS)
def test_t5_has_the_buckets_of_the_paper(
    num_buckets: int, max_distance: int, bidirectional: bool
) -> None:
    form = (num_buckets, max_distance, bidirectional)
    spec = position.t5(
        num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional
    )
    steps = range(-2100, 2101)
    found = spec(dimensions()).buckets(torch.tensor(steps)).tolist()
    assert found == [bucket(step, *form) for step in steps]


@pytest.mark.parametrize(("num_buckets", "max_distance", "bidirectional"), BUCKETS)
def test_t5_agrees_with_transformers(
    num_buckets: int, max_distance: int, bidirectional: bool
) -> None:
    theirs = pytest.importorskip("transformers.models.t5.modeling_t5")
    spec = position.t5(
        num_buckets=num_buckets, max_distance=max_distance, bidirectional=bidirectional
    )
    steps = torch.arange(-2100, 2101)
    expected = theirs.T5Attention._relative_position_bucket(
        steps, bidirectional, num_buckets, max_distance
    )
    assert spec(dimensions()).buckets(steps).equal(expected)


@pytest.mark.parametrize("threshold", [512.0, 3.0])
def test_fire_is_a_network_of_the_share_of_the_distance(threshold: float) -> None:
    part = enlarge(position.fire(width=5, threshold=threshold)(dimensions()).double())
    queries, keys = torch.randint(0, 900, (2, 5)), torch.randint(0, 900, (2, 11))
    queries[0, :2] = torch.tensor([0, 1])
    keys[0, :3] = torch.tensor([0, 1, 2])
    bias = part.bias(queries, keys).detach()
    assert bias.shape == (2, HEADS, 5, 11)
    c, reach = abs(part.curvature.item()), math.exp(part.log_stretch.item()) * threshold
    weights = (part.inner_weight.tolist(), part.inner_bias.tolist())
    for b, i, j in [(b, i, j) for b in (0, 1) for i in range(5) for j in range(11)]:
        at_query, at_key = int(queries[b, i]), int(keys[b, j])
        longest = max(at_query, at_key, reach)
        share = math.log(c * abs(at_query - at_key) + 1) / math.log(c * longest + 1)
        inner = [max(0.0, weight * share + shift) for weight, shift in zip(*weights, strict=True)]
        for h in range(HEADS):
            outer = part.outer_weight[h].tolist()
            expected = sum(weight * value for weight, value in zip(outer, inner, strict=True))
            assert math.isclose(bias[b, h, i, j], expected, rel_tol=1e-10, abs_tol=1e-12)


def test_fire_starts_as_the_paper_says() -> None:
    part = position.fire()(dimensions(max_seq_len=2048))  # L is 512
    share = part.share(torch.tensor([4, 1000]), torch.tensor([1, 0]))
    close(share[0].item(), math.log(1.3) / math.log(52.2), 1e-6)
    assert share[1] == 1
    assert part.bias(torch.tensor([[9]]), torch.tensor([[0, 9]])).diff().abs().min() > 1e-4


def test_fire_does_not_change_with_max_seq_len() -> None:
    one, other = (position.fire()(dimensions(max_seq_len=length)) for length in (40, 8000))
    ids = torch.arange(53)[None]
    other.load_state_dict(one.state_dict())
    assert one.bias(ids, ids).equal(other.bias(ids, ids))


def test_fire_keeps_its_precision_in_a_cast_model() -> None:
    part = position.fire(threshold=8.0)(dimensions()).bfloat16()
    share = part.share(torch.tensor([4001]), torch.arange(4001))
    assert share.dtype == torch.float32
    assert (share.diff() < 0).all()
    ids = torch.tensor([[4001]])
    assert part.bias(ids, ids).dtype == torch.bfloat16


def test_fire_is_finite_where_nothing_is_left_of_its_curve() -> None:
    part, ids = position.fire()(dimensions()), torch.arange(5)[None]
    with torch.no_grad():
        part.curvature.zero_()
        part.log_stretch.fill_(-torch.inf)
    part.bias(ids, ids).sum().backward()
    assert part.bias(ids, ids).isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("max_distance", [1, 3, 16])
def test_shaw_multiplies_queries_by_the_vector_of_the_distance(
    rows: int, max_distance: int
) -> None:
    part = enlarge(position.shaw(max_distance=max_distance)(dimensions()).double())
    query = torch.randn(2, HEADS, 5, HEAD_DIM, dtype=torch.float64)
    key = torch.randn(2, 3, 11, HEAD_DIM, dtype=torch.float64)
    queries, keys = torch.randint(0, 23, (rows, 5)), torch.randint(0, 23, (rows, 11))
    bias = part.content_bias(query, key, queries, keys)
    assert bias.shape == (2, HEADS, 5, 11)
    vectors = part.embedding.weight.reshape(2 * max_distance + 1, HEADS, HEAD_DIM)
    for b, i, j in [(b, i, j) for b in (0, 1) for i in range(5) for j in range(11)]:
        step = int(keys[b % rows, j] - queries[b % rows, i])
        row = max(-max_distance, min(max_distance, step)) + max_distance
        for h in range(HEADS):
            expected = vectors[row, h].dot(query[b, h, i]) / math.sqrt(HEAD_DIM)
            close(bias[b, h, i, j], expected)


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that is made."""

    size = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.size = max(self.size, result.untyped_storage().nbytes() // result.element_size())
        return result


def test_shaw_makes_no_vector_for_each_pair() -> None:
    part, ids = position.shaw()(dimensions(head_dim=11)), torch.arange(53)[None]
    query, key = torch.randn(2, 1, HEADS, 53, 11)
    with Largest() as largest:
        part.content_bias(query, key, ids, ids).sum().backward()
    assert 0 < largest.size <= HEADS * 53 * 53


@pytest.mark.parametrize("spec", variants("position"))
def test_a_bias_is_contiguous_along_the_keys_as_the_fused_kernel_wants_it(spec: Spec) -> None:
    part, ids = spec(dimensions()), torch.arange(5)[None]
    query, key = torch.randn(2, BATCH, HEADS, 5, HEAD_DIM)
    for bias in (part.bias(ids, ids), part.content_bias(query, key, ids, ids)):
        assert bias is None or bias.is_contiguous()


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
        (
            position.t5(num_buckets=7),
            {},
            "num_buckets must be an even number and at least 4, but is 7.",
        ),
        (
            position.t5(num_buckets=2),
            {},
            "num_buckets must be an even number and at least 4, but is 2.",
        ),
        (
            position.t5(num_buckets=1, bidirectional=False),
            {},
            "num_buckets must be at least 2, but is 1.",
        ),
        (
            position.t5(max_distance=8),
            {},
            "max_distance must be above 8, as so many distances have a bucket each, but is 8.",
        ),
        (
            position.t5(max_distance=16, bidirectional=False),
            {},
            "max_distance must be above 16, as so many distances have a bucket each, but is 16.",
        ),
        (position.fire(width=0), {}, "width must be at least 1, but is 0."),
        (position.fire(threshold=0.0), {}, "threshold must be above 0, but is 0.0."),
        (position.shaw(max_distance=0), {}, "max_distance must be at least 1, but is 0."),
        (
            position.rope(scaling=scaling.linear(factor=0.5)),
            {},
            "factor must be at least 1, which stretches nothing, but is 0.5.",
        ),
        (
            position.rope(scaling=scaling.ntk(factor=-4.0)),
            {},
            "factor must be at least 1, which stretches nothing, but is -4.0.",
        ),
        (
            position.rope(scaling=scaling.yarn(factor=4.0, original_max_seq_len=0)),
            {},
            "original_max_seq_len must be at least 1, but is 0.",
        ),
        (
            position.rope(
                scaling=scaling.yarn(factor=4.0, original_max_seq_len=512, beta_slow=32.0)
            ),
            {},
            "beta_fast must be above beta_slow, but 32.0 is not above 32.0.",
        ),
        (
            position.rope(
                scaling=scaling.yarn(factor=4.0, original_max_seq_len=512, beta_slow=0.0)
            ),
            {},
            "beta_slow must be above 0, but is 0.0.",
        ),
        (
            position.rope(
                scaling=scaling.yarn(factor=4.0, original_max_seq_len=512, attention_factor=0.0)
            ),
            {},
            "attention_factor must be above 0, but is 0.0.",
        ),
        (
            position.rope(
                rope_theta=1.0, scaling=scaling.yarn(factor=4.0, original_max_seq_len=512)
            ),
            {},
            "With scaling yarn rope_theta must be above 1, so that wavelengths grow, but is 1.0.",
        ),
        (
            position.rope(
                scaling=scaling.llama3(factor=8.0, original_max_seq_len=512, low_freq_factor=4.0)
            ),
            {},
            "high_freq_factor must be above low_freq_factor, but 4.0 is not above 4.0.",
        ),
        (
            position.rope(
                scaling=scaling.llama3(factor=8.0, original_max_seq_len=512, low_freq_factor=-1.0)
            ),
            {},
            "low_freq_factor must be above 0, but is -1.0.",
        ),
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
