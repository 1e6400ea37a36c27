"""How a wiring trains: residual, norms, depth, gradients, dropout, dtypes, state, and what a compiler makes of it."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from lightformer import init
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.block import Block, BlockSpec
from lightformer.init import InitSpec
from lightformer.testing import modules
from lightformer.testing.block.trial import SEQ, BlockTrial, Reader
from lightformer.testing.devices import ELSEWHERE
from lightformer.testing.options import all_act
from lightformer.testing.promise import Figure, change, difference, promise, truth, worst
from lightformer.testing.sizes import Sizes, stir

FACTOR, LARGER, MOST = 1e2, 1e3, 10.0
NEARLY_ALL = 1.0 - 1e-9
"""A dropout that leaves nothing: 1 itself is refused by many a part."""


@promise("block", needs=("steady",))
@torch.no_grad()
def residual(trial: BlockTrial) -> Figure:
    """Where its parts add nothing, the input still passes.

    Breach: the residual is missing around one of the parts: it must be x + part(x), in some order with norms.
    """
    block, contexts = trial.block(), trial.contexts(2, SEQ)
    for part in (block.attention, block.cross_attention, block.feedforward):
        for parameter in part.parameters() if part is not None else ():
            parameter.zero_()
    states = trial.states()
    return change(block(states + trial.states(), *contexts), block(states, *contexts), 1e-3)


@promise("block", needs=("steady",))
@torch.no_grad()
def final_norm(trial: BlockTrial) -> Figure:
    """What leaves the model is of like size for large states too.

    Breach: the last block ends without a norm, but final_norm returns nn.Identity(), which is for wirings whose last
    step is a norm. It must return a module.
    """
    model, contexts = trial.model(trial.roles[-1]).backbone, trial.contexts(2, SEQ)
    last, states = model.norm, trial.states()
    if not isinstance(last, nn.Module):
        return truth(False, f"final_norm returns a {type(last).__name__}")

    def size(states: Tensor) -> Tensor:
        return last(model.layers()[-1](states, *contexts)).square().mean().sqrt()

    larger = (size(states * LARGER) / size(states)).item()
    return Figure(larger / MOST, f"{larger:.1f} times (at most {MOST:.0f})")


@promise("block", needs=("sees", "memory"))
def learns(trial: BlockTrial) -> Figure:
    """Every parameter of its parts and of its norms has a gradient.

    Breach: a part is not called, or a norm is made that no role uses.
    """

    def measure(model: Reader) -> Figure:
        return modules.learns(model.backbone.layers()[0], model.train()(trial.tokens()))

    return trial.each(measure)


@promise("block", needs=("steady", "learns"))
def gradients(trial: BlockTrial) -> Figure:
    """Gradients agree with finite differences.

    Breach: something is detached, or a backward of one's own is wrong.
    """
    return modules.gradients(trial.block(), trial.states(2, 5), *trial.contexts(2, 5))


@promise("block", needs=("residual", "gradients"))
def deep(trial: BlockTrial) -> Figure:
    """24 deep, states and gradients neither vanish nor explode.

    Breach: the residual is multiplied by a number at each layer, or a norm stands where it shrinks all that went
    before. Neither may end 100 times as large as it started, or as small.
    """
    wide = Sizes(hidden_size=64, num_heads=4, head_dim=16, intermediate_size=128, num_layers=24)
    trial = dataclasses.replace(trial, sizes=wide)
    starts = {"small parts": init.scaled_normal(), "large parts": init.xavier()}
    return worst({name: _grown(trial, start) for name, start in starts.items()})


def _grown(trial: BlockTrial, start: InitSpec) -> Figure:
    sizes = {k: v for k, v in vars(trial.sizes).items() if k != "vocab_size"}
    config, contexts = BackboneConfig(block=trial.spec, init=start, **sizes), trial.contexts(2, SEQ)
    reads, vocab_size = len(contexts) > 1, trial.sizes.vocab_size
    model = Backbone(config, vocab_size, is_causal=True, has_memory=reads).double()
    states = given = trial.states().requires_grad_()
    for layer in model.layers():
        states = layer(states, *contexts)
    out = model.norm(states)
    pull = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * pull).sum(), given)
    grown = (_ratio(states, given), _ratio(gradient, pull))
    steps = [abs(math.log(g)) if 0.0 < g < math.inf else math.inf for g in grown]
    return Figure(max(steps) / math.log(FACTOR), "states x{:.2g}, gradient x{:.2g}".format(*grown))


def _ratio(one: Tensor, other: Tensor) -> float:
    return (one.square().mean() / other.square().mean()).sqrt().item()


@promise("block", needs=("steady",))
def state(trial: BlockTrial) -> Figure:
    """Its state_dict holds all that it has learned.

    Breach: a tensor that matters is no parameter and no buffer.
    """
    ids = trial.tokens()

    def run(model: nn.Module) -> Tensor:
        return model(ids)

    return worst({r: modules.state(trial.model(r), trial.model(r), run) for r in trial.roles})


@promise("block", needs=("residual", "state"))
@torch.no_grad()
def dropout(trial: BlockTrial) -> Figure:
    """Dropout acts in train() alone, on all that each part adds.

    Breach: self.dropout is not called on what one of the parts returns; or on the residual as well.
    """
    plain, contexts = trial.block(), trial.contexts(2, SEQ)
    states, other = trial.states(), trial.states()
    half, all_dropped = trial.block(dropout=0.5), trial.block(dropout=NEARLY_ALL)
    half.load_state_dict(plain.state_dict())
    figures = {"eval()": difference(half(states, *contexts), plain(states, *contexts))}
    block = all_dropped.train()
    figures["the residual"] = change(block(other, *contexts), block(states, *contexts), 1e-3)
    for name in ("attention", "cross_attention", "feedforward"):
        before, part = block(states, *contexts), getattr(block, name)
        if part is None:
            continue
        stir(part)
        figures[f"what {name} adds"] = difference(block(states, *contexts), before)
    return worst(figures)


@promise("block", needs=("runs",))
def dtype(trial: BlockTrial) -> Figure:
    """The dtype is kept, and autocast to bfloat16 works.

    Breach: a tensor is made without a dtype, or a buffer is not cast; .to(states.dtype) mends it.
    """
    ids = trial.tokens()
    return trial.each(lambda model: modules.dtype(model, lambda model, _: model(ids)))


@promise("block", needs=("steady",))
def compiles(trial: BlockTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that looks at the values of a tensor (.item(), if on a tensor) breaks the graph.
    """
    block, states, contexts = trial.block(), trial.states(), trial.contexts(2, SEQ)

    def run(block: nn.Module) -> Tensor:
        return block(states, *contexts)

    return modules.compiles(block, run)


@promise("block", needs=("compiles",))
def device(trial: BlockTrial) -> Figure:
    """It works on a GPU: its tensors are made where its input is.

    Breach: torch.arange, torch.ones or torch.tensor without device=states.device, or a table that is no buffer.
    """
    ids = trial.tokens().to(ELSEWHERE)
    return trial.each(lambda model: modules.device(model, lambda model: model(ids)))


@promise("block", needs=("steady",))
def options(trial: BlockTrial) -> Figure:
    """Each option does something.

    Breach: an option is read and not used, or another stands in its place. Where it acts only together with another
    one, leave this promise out with --skip options, or try it with that one, by --options.
    """
    states, contexts = trial.states(), trial.contexts(2, SEQ)

    def make(spec: BlockSpec) -> Block:
        return dataclasses.replace(trial, spec=spec).block()

    return all_act(trial.spec, make, lambda block: block(states, *contexts))
