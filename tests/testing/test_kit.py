"""Every built-in part keeps every promise of its kind; and the kit itself."""

from __future__ import annotations

import math

import pytest
import torch

from lightformer import attention, block, norm, optimizer, position, testing
from lightformer.errors import ConfigError
from lightformer.registry import KINDS, Spec
from lightformer.testing.sizes import LEAST
from tests.variants import variants

EVERY_PART = [param for kind in KINDS for param in variants(kind)]


@pytest.mark.parametrize(
    "spec", [pytest.param(p.values[0], id=f"{p.values[0].kind}-{p.id}") for p in EVERY_PART]
)
def test_every_part_keeps_its_promises(spec: Spec) -> None:
    report = testing.check(spec)
    report.assert_held()
    assert any(result.status == testing.HELD for result in report.results)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_promises_that_can_be_read(kind: str) -> None:
    promises = testing.promises(kind)
    names = [promise.name for promise in promises]
    assert len(promises) >= 3
    for place, promise in enumerate(promises):
        assert promise.claim.endswith(".")
        assert promise.breach.endswith((".", ")"))
        assert set(promise.needs) <= set(names[:place]), f"{promise.name} needs what comes later"


def test_a_report_says_what_holds() -> None:
    lines = str(testing.check(attention.mha())).splitlines()
    assert lines[0].startswith("attention mha {bias: True, dropout: 0.0, ")
    assert any(line.startswith("  held     causal  ") for line in lines)
    assert lines[-1] == f"{len(testing.promises('attention'))} held"


def test_a_promise_is_tried_alike_whatever_came_before() -> None:
    whole = {r.promise.name: r for r in testing.check(attention.mha()).results}
    torch.manual_seed(17)
    others = [name for name in whole if name not in ("runs", "steady", "batch", "packed")]
    for result in testing.check(attention.mha(), skip=others).results:
        assert result == whole[result.promise.name]


def test_the_random_numbers_of_a_caller_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    testing.check(norm.rms_norm())
    assert torch.rand(2).equal(expected)


def test_promises_that_are_not_meant_can_be_left_out() -> None:
    results = testing.check(attention.mha(), skip=["order", "cache_rows"]).results
    assert {"order", "cache rows"} & {r.promise.name for r in results} == set()
    with pytest.raises(
        ConfigError, match=r"attention has no promise 'ordr'. Did you mean 'order'\?"
    ):
        testing.check(attention.mha(), skip=["ordr"])


def test_not_all_promises_can_be_left_out() -> None:
    names = [promise.name for promise in testing.promises("norm")]
    with pytest.raises(ConfigError, match="skip leaves none of the promises of norm to be tried"):
        testing.check(norm.rms_norm(), skip=names)


def test_sizes_can_be_chosen() -> None:
    with pytest.raises(
        ConfigError, match="num_heads must be a multiple of num_kv_heads, but 6 is not one of 4"
    ):
        attention.gqa(num_kv_heads=4)(testing.Sizes().dimensions())
    testing.check(attention.gqa(num_kv_heads=4), sizes=testing.Sizes(num_heads=8)).assert_held()
    for name in ("hidden_size", "head_dim", "max_seq_len", "vocab_size"):
        with pytest.raises(ConfigError, match=rf"^{name} must be at least \d+, .*, but is 1\.$"):
            testing.Sizes(**{name: 1})


@pytest.mark.parametrize("spec", [position.learned(), position.t5(), norm.dyt(), block.pre_norm()])
def test_the_smallest_models_do(spec: Spec) -> None:
    testing.check(spec, sizes=testing.Sizes(**LEAST)).assert_held()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (norm.layer_norm(eps=0.0), "eps must be from 1e-20, .*, to 1, but is 0.0"),
        (norm.rms_norm(eps=math.inf), "eps must be from 1e-20, .*, to 1, but is inf"),
        (norm.dyt(alpha=1e39), "alpha must be at most 3.4e.38, where float32 ends, but is 1e.39"),
        (optimizer.adamw(eps=math.inf), "eps must be at most 3.4e.38, where float32 ends, but is"),
        (position.rope(rope_theta=math.inf), "rope_theta must be at most 3.4e.38, "),
        (position.sinusoidal(base=math.nan), "base must be above 0, but is nan"),
        (position.learned(offset=10**14), "offset must be from 0 to 100,000, .*, but is 10{14}"),
    ],
)
def test_what_no_model_can_hold_is_refused_and_not_called_broken(spec: Spec, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        testing.check(spec)


@pytest.mark.parametrize("eps", [1e-20, 1.0])
def test_a_norm_keeps_its_promises_at_either_end_of_eps(eps: float) -> None:
    testing.check(norm.layer_norm(eps=eps)).assert_held()
    testing.check(norm.rms_norm(eps=eps)).assert_held()


def test_there_is_no_such_kind() -> None:
    with pytest.raises(
        ConfigError, match=r"There is no kind 'atention' of part. Did you mean 'attention'\?"
    ):
        testing.promises("atention")
