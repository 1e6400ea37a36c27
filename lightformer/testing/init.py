"""What every initialisation scheme promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import attention, init, position
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.init import InitSpec
from lightformer.testing.promise import Figure, difference, promise, trial, truth, worst
from lightformer.testing.sizes import Sizes, stir

DEPTH, WIDTH, SMALLEST, LARGEST = 24, 64, 1e-3, 1e2


@trial("init")
@dataclass(frozen=True)
class InitTrial:
    """An initialisation scheme, and the models that it starts."""

    spec: InitSpec
    sizes: Sizes = field(default_factory=Sizes)

    def model(self, *, has_head: bool = False) -> nn.ModuleDict:
        """A decoder with every sort of weight, not started by the scheme yet; a head is tied to its embedding."""
        config = self.config(
            attention=attention.gqa(num_kv_heads=1),
            position=position.learned(),
            num_segments=2,
            embedding_size=5,
            init=init.normal(),
        )
        backbone = Backbone(config, self.sizes.vocab_size, is_causal=True, has_memory=True)
        parts: dict[str, nn.Module] = {"backbone": stir(backbone)}
        if has_head:
            head = nn.Linear(5, self.sizes.vocab_size)
            head.weight = backbone.embeddings.token.weight
            parts["head"] = head
        return nn.ModuleDict(parts)

    def config(self, **changed: Any) -> BackboneConfig:
        sizes = {k: v for k, v in vars(self.sizes).items() if k != "vocab_size"}
        return BackboneConfig(**{**sizes, "init": self.spec, **changed})

    def start(self, model: nn.Module, seed: int = 1) -> nn.Module:
        """The model, its weights poisoned and then started by the scheme."""
        for _, module in filled(model):
            nn.init.constant_(module.weight, math.nan)
        torch.manual_seed(seed)
        self.spec(self.config().dimensions())(model)
        return model


def filled(model: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Embedding]]:
    """The modules whose weight a scheme fills."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            yield name or type(module).__name__, module


def _none(wrong: list[str], kept: str, fault: str) -> Figure:
    """Held where nothing is wrong; else it names the first."""
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return truth(not wrong, f"{fault}: {wrong[0]}{more}" if wrong else kept)


@promise("init")
def fills(trial: InitTrial) -> Figure:
    """Every weight of a linear map and of an embedding is filled.

    Breach: `weight` is bound to a new tensor (weight = ...) and not filled in place (weight.normal_(),
    weight.copy_(...)); or a name is not met, such as that of a head, or of a linear map that is alone.
    """
    wrong, count = list[str](), 0
    for model in (trial.model(), nn.Linear(7, 5), nn.ModuleDict()):
        for name, module in filled(trial.start(model)):
            count += 1
            wrong += [] if module.weight.isfinite().all() else [name]
    return _none(wrong, f"{count} weights", "not filled")


@promise("init", needs=("fills",))
def in_place(trial: InitTrial) -> Figure:
    """The parameters stay the objects that they were, to be trained.

    Breach: module.weight = nn.Parameter(...), which unties what is tied; or requires_grad is turned off.
    """
    model = trial.model(has_head=True)
    before = dict(model.named_parameters(remove_duplicate=False))
    trial.start(model)
    after = dict(model.named_parameters(remove_duplicate=False))
    wrong = [n for n, p in after.items() if p is not before[n] or not p.requires_grad]
    return _none(wrong, f"{len(after)} parameters", "replaced or frozen")


@promise("init", needs=("fills",))
def biases(trial: InitTrial) -> Figure:
    """Every bias of a linear map starts at zero.

    Breach: __call__ was overridden without a look at biases; or all parameters are drawn alike.
    """
    model = trial.start(trial.model())
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    with_bias = {n: m.bias for n, m in linear.items() if m.bias is not None}
    wrong = [n for n, bias in with_bias.items() if bias.any()]
    return _none(wrong, f"{len(with_bias)} biases", "not zero")


@promise("init", needs=("fills",))
def rest(trial: InitTrial) -> Figure:
    """What starts itself, as norms do, keeps its values.

    Breach: it goes over model.parameters(), or over all that has one dimension, and so over the weights of norms.
    """
    model = trial.model()
    own = {id(p) for _, module in filled(model) for p in module.parameters()}
    others = {n: p.detach().clone() for n, p in model.named_parameters() if id(p) not in own}
    after = dict(trial.start(model).named_parameters())
    return _none(
        [n for n, p in others.items() if not p.equal(after[n])], f"{len(others)} others", "changed"
    )


@promise("init", needs=("fills",))
def seed(trial: InitTrial) -> Figure:
    """The same seed gives the same bits; another seed gives others.

    Breach: it draws from a generator of its own, from numpy or from random, and not from torch's; or it depends on
    the values that were there before.
    """
    model = trial.model()
    one, other, same = (_values(trial.start(stir(model), number)) for number in (1, 2, 1))
    if not one.equal(same):
        return truth(False, "two models from one seed")
    return truth(not one.equal(other), "2 seeds" if not one.equal(other) else "one from two seeds")


def _values(model: nn.Module) -> Tensor:
    return torch.cat([module.weight.detach().flatten() for _, module in filled(model)])


@promise("init", needs=("in place", "seed"))
def tied(trial: InitTrial) -> Figure:
    """A head that is tied to the embedding changes nothing.

    Breach: a weight that two modules share is drawn a second time, as a linear map's. Remember id(module.weight).
    """
    model, alone = trial.start(trial.model(has_head=True)), trial.start(trial.model())
    assert isinstance(model, nn.ModuleDict)
    return difference(_values(model["backbone"]), _values(alone), 1e-12)


@promise("init", needs=("fills",))
def varied(trial: InitTrial) -> Figure:
    """No two units of a weight start alike, save at zero.

    Breach: a weight is filled with one number, or one row is given to all: such units get the same gradients, and
    stay alike for ever.
    """
    wrong, count = list[str](), 0
    for name, module in filled(trial.start(trial.model())):
        count += 1
        rows = (module.weight.detach(), module.weight.detach().T)
        used = [side[side.any(dim=1)] for side in rows]
        wrong += [name] if any(len(torch.unique(side, dim=0)) < len(side) for side in used) else []
    return _none(wrong, f"{count} weights", "alike in")


@promise("init", needs=("fills", "varied"))
@torch.no_grad()
def scale(trial: InitTrial) -> Figure:
    """Hidden states are neither tiny nor huge, up to 24 layers deep.

    Breach: the standard deviation does not shrink with the width, or is a variance: a map to `n` numbers from `m`
    wants about m^-0.5, or less.
    """
    config = trial.config(
        hidden_size=WIDTH,
        head_dim=16,
        num_heads=4,
        intermediate_size=4 * WIDTH,
        num_layers=DEPTH,
    )
    model, found = Backbone(config, trial.sizes.vocab_size, is_causal=True), list[float]()
    for layer in model.blocks:
        layer.register_forward_hook(
            lambda _layer, _given, states: found.append(states.square().mean().sqrt().item())
        )
    model(trial.sizes.tokens(2, 7))
    text = f"{min(found):.2g} to {max(found):.2g} (0.001 to 100)"
    return worst(
        {
            "the smallest": Figure(SMALLEST / max(min(found), 1e-300), text),
            "the largest": Figure(max(found) / LARGEST, text),
        }
    )


@promise("init", needs=("in place", "varied", "scale"))
def learns(trial: InitTrial) -> Figure:
    """After three steps of an optimizer every weight has moved.

    Breach: two maps in a row start at zero, so that none gets a gradient, for ever: let one of them be zero at most.
    """
    backbone = Backbone(
        trial.config(num_segments=2, position=position.learned()),
        trial.sizes.vocab_size,
        is_causal=False,
    )
    head = nn.Linear(trial.sizes.hidden_size, 5)
    trial.spec(trial.config().dimensions())(head)
    model = nn.ModuleDict({"backbone": backbone, "head": head})
    before = {name: module.weight.detach().clone() for name, module in filled(model)}
    ids, labels = trial.sizes.tokens(4, 7), torch.randint(0, 5, (4, 7))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        scores = head(backbone(ids, token_type_ids=labels % 2))
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(scores.flatten(0, 1), labels.flatten()))
        optimizer.step()
    wrong = [name for name, module in filled(model) if module.weight.equal(before[name])]
    return _none(wrong, f"{len(before)} weights", "still")


@promise("init", needs=("fills",))
def dtype(trial: InitTrial) -> Figure:
    """Weights of any dtype are filled, and keep it.

    Breach: weight.data = ... puts a tensor of another dtype there; or a decomposition (QR, SVD) is done in a dtype
    that has none: do it in float32, then weight.copy_(...).
    """
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    for kind in kinds:
        for name, module in filled(trial.start(trial.model().to(kind))):
            if module.weight.dtype != kind:
                return truth(False, f"{module.weight.dtype} from {kind}: {name}")
            if not module.weight.isfinite().all():
                return truth(False, f"not finite in {kind}: {name}")
    return truth(True, f"{len(kinds)} dtypes")
