"""Optimizers and schedules, compared with their formulas step by step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lightformer import optimizer, schedule
from lightformer.errors import ConfigError
from lightformer.registry import Spec
from tests.variants import backbone, close, tokens, variants


def parts() -> Any:
    return nn.ModuleDict(
        {"matrix": nn.Linear(5, 3), "norm": nn.LayerNorm(3), "table": nn.Embedding(7, 2)}
    ).double()


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_every_parameter_is_in_one_group(spec: Spec) -> None:
    net = backbone()
    made = spec(list(net.named_parameters()))
    held = [id(p) for group in made.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_matrices_decay_and_vectors_do_not(spec: Spec) -> None:
    made = type(spec)(**{**spec.options(), "weight_decay": 0.3})(list(parts().named_parameters()))
    for group in made.param_groups:
        dims = {p.ndim for p in group["params"]}
        assert dims == ({2} if group["weight_decay"] else {1})
    assert [group["weight_decay"] for group in made.param_groups] == [0.3, 0.0]


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_it_lowers_a_loss(spec: Spec) -> None:
    net, ids = backbone(num_layers=1), tokens()
    made = type(spec)(**{**spec.options(), "lr": 1e-3})(list(net.named_parameters()))
    losses = []
    for _ in range(7):
        made.zero_grad()
        loss = (net(ids) - 1).square().mean()
        loss.backward()
        made.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def steps(spec: Spec, number: int) -> tuple[Any, list[dict[str, torch.Tensor]], list[Any]]:
    """Some steps with given gradients: the module, its states, and the gradients."""
    net = parts()
    made = spec(list(net.named_parameters()))
    states = [{n: p.detach().clone() for n, p in net.named_parameters()}]
    gradients = []
    for _ in range(number):
        for parameter in net.parameters():
            parameter.grad = torch.randn_like(parameter)
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters()})
        made.step()
        states.append({n: p.detach().clone() for n, p in net.named_parameters()})
    return net, states, gradients


def test_adamw_is_its_formula() -> None:
    lr, decay, (b1, b2), eps = 0.03, 0.2, (0.8, 0.95), 1e-6
    spec = optimizer.adamw(lr=lr, weight_decay=decay, betas=(b1, b2), eps=eps)
    _, states, gradients = steps(spec, 3)
    for name, value in states[0].items():
        first, second = torch.zeros_like(value), torch.zeros_like(value)
        for t in (1, 2, 3):
            gradient = gradients[t - 1][name]
            value = value * (1 - lr * decay * (value.ndim > 1))
            first = b1 * first + (1 - b1) * gradient
            second = b2 * second + (1 - b2) * gradient**2
            root = (second / (1 - b2**t)).sqrt() + eps
            value = value - lr * first / (1 - b1**t) / root
            close(states[t][name], value)


def test_sgd_is_its_formula() -> None:
    lr, decay, momentum = 0.03, 0.2, 0.7
    _, states, gradients = steps(optimizer.sgd(lr=lr, weight_decay=decay, momentum=momentum), 3)
    for name, value in states[0].items():
        velocity = torch.zeros_like(value)
        for t in (1, 2, 3):
            velocity = (
                momentum * velocity + gradients[t - 1][name] + decay * (value.ndim > 1) * value
            )
            value = value - lr * velocity
            close(states[t][name], value)


TOTAL, WARMUP = 23, 5


def rising(step: int) -> float:
    return (step + 1) / (WARMUP + 1)


FORMULAS = {
    "constant": (schedule.constant(warmup_steps=WARMUP), lambda done: 1.0),
    "linear": (
        schedule.linear(warmup_steps=WARMUP, final=0.2),
        lambda done: 1 - 0.8 * done,
    ),
    "cosine": (
        schedule.cosine(warmup_steps=WARMUP, final=0.2),
        lambda done: 0.2 + 0.8 * (1 + math.cos(math.pi * done)) / 2,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_step_of_a_schedule(name: str) -> None:
    spec, falling = FORMULAS[name]
    made = spec(TOTAL)
    for step in range(TOTAL):
        done = (step - WARMUP) / (TOTAL - WARMUP)
        expected = rising(step) if step < WARMUP else falling(done)
        assert math.isclose(made.factor(step), expected, rel_tol=1e-12), step


@pytest.mark.parametrize("spec", variants("schedule"))
def test_schedules_begin_above_zero_reach_the_peak_and_stay_positive(spec: Spec) -> None:
    made = type(spec)(**{**spec.options(), "warmup_steps": WARMUP})(TOTAL)
    factors = [made.factor(step) for step in range(TOTAL)]
    assert 0 < factors[0] < 1
    assert max(factors) == factors[WARMUP] == 1
    assert min(factors) > 0
    assert factors == [made.factor(step) for step in range(TOTAL)]
    assert type(spec)()(TOTAL).factor(0) == 1


@pytest.mark.parametrize(("name", "end"), [("linear", 0.2), ("cosine", 0.2), ("constant", 1.0)])
def test_the_end_of_a_schedule_is_held(name: str, end: float) -> None:
    made = FORMULAS[name][0](TOTAL)
    assert math.isclose(made.factor(TOTAL), end)
    assert math.isclose(made.factor(TOTAL + 100), end)


@pytest.mark.parametrize("spec", variants("schedule"))
def test_a_warm_up_longer_than_the_run_goes_on_rising(spec: Spec) -> None:
    made = type(spec)(**{**spec.options(), "warmup_steps": 50})(TOTAL)
    factors = [made.factor(step) for step in range(TOTAL)]
    assert factors == sorted(factors)
    assert made.factor(50) == 1 or made.factor(50) > 0


@pytest.mark.parametrize("spec", variants("schedule"))
def test_a_negative_warm_up_is_refused(spec: Spec) -> None:
    with pytest.raises(ConfigError) as caught:
        type(spec)(**{**spec.options(), "warmup_steps": -1})(TOTAL)
    assert str(caught.value) == "warmup_steps must not be negative, but is -1."
