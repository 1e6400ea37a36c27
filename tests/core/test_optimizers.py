"""Optimizers, compared with their formulas step by step."""

from __future__ import annotations

import copy
import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict as shared
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from lightformer import optimizer
from lightformer.errors import ConfigError
from lightformer.parts.optimizer.muon import newton_schulz, orthogonal_names
from lightformer.registry import Spec, find, names
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
    assert {group["weight_decay"] for group in made.param_groups} == {0.3, 0.0}


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


def stack() -> Any:
    """Blocks with matrices of one shape, of its transpose and of another, and what stands around them."""
    sizes = [(5, 3), (3, 5), (5, 3), (4, 3), (5, 4)]
    maps = [*(nn.Linear(*size) for size in sizes), nn.LayerNorm(3)]
    return nn.ModuleDict(
        {"table": nn.Embedding(7, 2), "blocks": nn.ModuleList(maps), "top": nn.Linear(3, 2)}
    ).double()


def steps(
    spec: Any, number: int, net: Any = None
) -> tuple[Any, list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Some steps with given gradients: the optimizer, the states, and the gradients."""
    net = parts() if net is None else net
    made = spec(list(net.named_parameters()))
    states = [{n: p.detach().clone() for n, p in net.named_parameters()}]
    gradients = []
    for _ in range(number):
        for parameter in net.parameters():
            parameter.grad = torch.randn_like(parameter)
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters()})
        made.step()
        states.append({n: p.detach().clone() for n, p in net.named_parameters()})
    return made, states, gradients


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


def test_lion_is_its_formula() -> None:
    lr, decay, (b1, b2) = 0.03, 0.2, (0.6, 0.9)
    _, states, gradients = steps(optimizer.lion(lr=lr, weight_decay=decay, betas=(b1, b2)), 4)
    for name, value in states[0].items():
        average = torch.zeros_like(value)
        for t in (1, 2, 3, 4):
            gradient = gradients[t - 1][name]
            update = (b1 * average + (1 - b1) * gradient).sign()
            value = value - lr * (update + decay * (value.ndim > 1) * value)
            average = b2 * average + (1 - b2) * gradient
            close(states[t][name], value)


def by_singular_values(matrix: Tensor, number: int) -> Tensor:
    """What Newton-Schulz is in the end: an odd polynomial of each singular value."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(number):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ values.diag() @ right


def test_muon_is_its_formula_in_the_blocks() -> None:
    lr, decay, momentum, ns_steps = 0.03, 0.2, 0.7, 3
    spec = optimizer.muon(lr=lr, weight_decay=decay, momentum=momentum, ns_steps=ns_steps)
    _, states, gradients = steps(spec, 4, stack())
    inner = [n for n, value in states[0].items() if "blocks" in n and value.ndim == 2]
    assert len(inner) == 5
    for name in inner:
        value = states[0][name]
        sum_ = torch.zeros_like(value)
        for t in (1, 2, 3, 4):
            gradient = gradients[t - 1][name]
            sum_ = momentum * sum_ + gradient
            update = by_singular_values(gradient + momentum * sum_, ns_steps)
            value = (1 - lr * decay) * value - lr * 0.2 * max(value.shape) ** 0.5 * update
            close(states[t][name], value)


def test_muon_is_adamw_around_the_blocks() -> None:
    options: dict[str, Any] = {"lr": 0.03, "weight_decay": 0.2, "betas": (0.7, 0.9), "eps": 1e-3}
    net = stack()
    _, states, gradients = steps(optimizer.muon(**options, momentum=0.5), 4, net)
    twin = stack()
    twin.load_state_dict(states[0])
    outer = [n for n, p in twin.named_parameters() if "blocks" not in n or p.ndim < 2]
    assert len(outer) == 10
    named = dict(twin.named_parameters())
    vectors = {"params": [named[n] for n in outer if named[n].ndim < 2], "weight_decay": 0.0}
    matrices = {"params": [named[n] for n in outer if named[n].ndim == 2]}
    other = torch.optim.AdamW([matrices, vectors], **options)
    for t in (1, 2, 3, 4):
        for name in outer:
            named[name].grad = gradients[t - 1][name]
        other.step()
        for name in outer:
            close(states[t][name], named[name].detach())


def test_muon_is_that_of_torch() -> None:
    """It computes in bfloat16, so that they agree to about one part in a hundred."""
    lr, decay = 0.03, 0.2
    spec = optimizer.muon(lr=lr, weight_decay=decay, momentum=0.8)
    _, states, gradients = steps(spec, 3, stack())
    inner = [n for n, value in states[0].items() if "blocks" in n and value.ndim == 2]
    twins = {name: nn.Parameter(states[0][name].clone()) for name in inner}
    other = torch.optim.Muon(
        twins.values(), lr=lr, weight_decay=decay, momentum=0.8, adjust_lr_fn="match_rms_adamw"
    )
    for t in (1, 2, 3):
        for name in inner:
            twins[name].grad = gradients[t - 1][name]
        other.step()
    for name in inner:
        moved = states[3][name] - states[0][name]
        difference = (states[3][name] - twins[name].detach()).norm() / moved.norm()
        assert difference < 0.03, name


def test_an_orthogonal_step_is_of_the_size_of_one_of_adam() -> None:
    update = newton_schulz(torch.randn(3, 17, 53), 5)
    assert update.dtype == torch.float32
    values = torch.linalg.svdvals(update)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.25
    size = 0.2 * 53**0.5 * update.square().mean().sqrt()
    assert 0.15 < float(size) < 0.25


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_muon_on_the_cpu_computes_in_single_precision_at_least(dtype: torch.dtype) -> None:
    matrices = torch.randn(2, 5, 7, dtype=dtype)
    expected = torch.stack([by_singular_values(matrix.double(), 5) for matrix in matrices])
    found = newton_schulz(matrices, 5)
    assert found.dtype == dtype
    rounding = 2**-8 if dtype == torch.bfloat16 else 2**-24
    torch.testing.assert_close(found.double(), expected, rtol=1.01 * rounding, atol=1e-5)


def named(*shapes: tuple[str, tuple[int, ...]]) -> Any:
    return [(name, nn.Parameter(torch.zeros(shape))) for name, shape in shapes]


def test_which_matrices_take_orthogonal_steps() -> None:
    net = backbone(position=find("position", "learned")())
    inner = orthogonal_names([(f"backbone.{n}", p) for n, p in net.named_parameters()])
    every = {f"backbone.{n}" for n, p in net.named_parameters() if p.ndim == 2}
    assert every - inner == {
        "backbone.embeddings.token.weight",
        "backbone.positions.0.embedding.weight",
    }
    assert inner == {n for n in every if ".blocks." in n}
    assert len(inner) == 12


def test_which_matrices_of_a_module_without_blocks_take_orthogonal_steps() -> None:
    bare = named(("0.weight", (5, 3)), ("0.bias", (5,)), ("1.weight", (5, 3, 2)))
    assert orthogonal_names(bare) == {"0.weight"}
    outer = (
        "embedding",
        "token_embeddings.weight",
        "lm_head.weight",
        "Head.x",
        "classifier.weight",
    )
    whole = named(*((name, (5, 3)) for name in outer), ("sub.blockset.weight", (5, 3)))
    assert orthogonal_names(whole) == {"sub.blockset.weight"}


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_a_state_that_was_saved_goes_on_with_the_same_bits(spec: Spec) -> None:
    net = stack()
    made, _, _ = steps(spec, 3, net)
    twin = stack()
    other = spec(list(twin.named_parameters()))
    file = io.BytesIO()
    torch.save([net.state_dict(), made.state_dict()], file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    twin.load_state_dict(weights)
    other.load_state_dict(state)
    for _ in range(2):
        for one, two in zip(net.parameters(), twin.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            two.grad = one.grad.clone()
        made.step()
        other.step()
    for one, two in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_it_steps_by_the_gradients_that_the_closure_leaves(spec: Spec) -> None:
    net = stack()
    twin = copy.deepcopy(net)
    made, other = (spec(list(module.named_parameters())) for module in (net, twin))

    def closure() -> Tensor:
        made.zero_grad()
        loss = sum((p**3).sum() for p in net.parameters())
        loss.backward()
        return loss.detach()

    for _ in range(2):
        for parameter in twin.parameters():
            parameter.grad = 3 * parameter.detach() ** 2
        expected = sum((p.detach() ** 3).sum() for p in net.parameters())
        found = made.step(closure)
        other.step()
        close(found, expected)
    for one, two in zip(net.parameters(), twin.parameters(), strict=True):
        close(one, two)


@pytest.mark.parametrize("spec", variants("optimizer"))
def test_what_has_no_gradient_stays_and_a_rate_of_zero_moves_nothing(spec: Spec) -> None:
    net = stack()
    made = type(spec)(**{**spec.options(), "lr": 0.0})(list(net.named_parameters()))
    before = copy.deepcopy(net.state_dict())
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    made.zero_grad()
    net["blocks"][1].weight.grad = torch.ones(5, 3).double()
    net["table"].weight.grad = torch.ones(7, 2).double()
    for group in made.param_groups:
        group["lr"] = 0.1
    made.step()
    moved = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert moved == {"blocks.1.weight", "table.weight"}
    assert all(value.isfinite().all() for value in net.state_dict().values())


def rates(spec: Spec, net: Any) -> list[float]:
    made = spec(list(net.named_parameters()))
    scheduler = torch.optim.lr_scheduler.LambdaLR(made, lambda step: 1 / (step + 1))
    moved = []
    for _ in range(2):
        before = net["blocks"][0].weight.detach().clone()
        for parameter in net.parameters():
            parameter.grad = torch.ones_like(parameter)
        made.step()
        scheduler.step()
        moved.append(float((net["blocks"][0].weight.detach() - before).norm()))
    return moved


@pytest.mark.parametrize("name", ["adamw", "lion", "muon"])
def test_a_schedule_scales_the_steps(name: str) -> None:
    first, second = rates(find("optimizer", name)(weight_decay=0.0), stack())
    assert second == pytest.approx(first / 2, rel=1e-6)


STEPS = 3


def trained(spec: Spec, mesh: Any = None, *, is_resumed: bool = False) -> dict[str, Tensor]:
    """The weights after some steps of a model with uneven sizes, divided over the ranks of a mesh."""
    torch.manual_seed(0)
    net = backbone()
    ids = tokens()
    if mesh is not None:
        for module in (*net.layers(), net):
            fully_shard(module, mesh=mesh)
    made = spec(list(net.named_parameters()))
    for step in range(STEPS):
        if is_resumed and step == STEPS - 1:
            options = shared.StateDictOptions(full_state_dict=True)
            kept = copy.deepcopy(shared.get_optimizer_state_dict(net, made, options=options))
            made.zero_grad()
            made = spec(list(net.named_parameters()))
            shared.set_optimizer_state_dict(net, made, kept, options=options)
        made.zero_grad()
        (net(ids) - 1).square().mean().backward()
        made.step()
    return {
        name: p.full_tensor() if mesh is not None else p.detach()  # type: ignore[operator]
        for name, p in net.named_parameters()
    }


def each_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    for name in names("optimizer"):
        spec: Any = find("optimizer", name)
        found = trained(spec(lr=1e-3), mesh)
        again = trained(spec(lr=1e-3), mesh, is_resumed=True)
        assert all(torch.equal(found[key], again[key]) for key in found), name
        if rank == 0:
            torch.save(found, os.path.join(folder, name))
    dist.destroy_process_group()


def test_two_ranks_that_divide_the_parameters_learn_the_same(tmp_path: Path) -> None:
    mp.spawn(each_rank, args=(str(tmp_path),), nprocs=2)
    for name in names("optimizer"):
        spec: Any = find("optimizer", name)
        expected = trained(spec(lr=1e-3))
        found = torch.load(tmp_path / name, weights_only=True)
        assert found.keys() == expected.keys()
        for key in expected:
            close(found[key], expected[key], 1e-9)


REFUSED: list[tuple[Any, str]] = [
    (optimizer.lion(lr=-1.0), "lr must not be negative, but is -1.0."),
    (optimizer.lion(weight_decay=-1.0), "weight_decay must not be negative, but is -1.0."),
    (
        optimizer.lion(betas=(0.9, 1.0)),
        "each of betas must be at least 0 and below 1, but is 1.0.",
    ),
    (optimizer.muon(lr=-1.0), "lr must not be negative, but is -1.0."),
    (optimizer.muon(weight_decay=-1.0), "weight_decay must not be negative, but is -1.0."),
    (optimizer.muon(momentum=1.0), "momentum must be at least 0 and below 1, but is 1.0."),
    (optimizer.muon(ns_steps=0), "ns_steps must be above 0, but is 0."),
    (
        optimizer.muon(betas=(1.0, 0.9)),
        "each of betas must be at least 0 and below 1, but is 1.0.",
    ),
    (optimizer.muon(eps=-1.0), "eps must not be negative, but is -1.0."),
]


@pytest.mark.parametrize(("spec", "sentence"), REFUSED, ids=lambda value: str(value)[:50])
def test_options_that_cannot_work_are_refused(spec: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(list(stack().named_parameters()))
    assert str(caught.value) == sentence
