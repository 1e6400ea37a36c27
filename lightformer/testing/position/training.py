"""How it trains: dtypes, gradients, state, and what a compiler makes of it."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor, nn

from lightformer.position import Position
from lightformer.testing import modules
from lightformer.testing.devices import ELSEWHERE, follows
from lightformer.testing.options import all_act
from lightformer.testing.position.trial import (
    LATER,
    SEQ,
    PositionTrial,
    Question,
    alike,
    ask,
    places,
    turns,
)
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst

COARSE = 0.1
"""bfloat16 rounds what the hooks give by less, and ids around FAR by up to 16."""

POWERS = [2**n for n in range(13)]
"""Places between which every order of distance occurs."""


@promise("position", needs=("steady",))
def dtype(trial: PositionTrial) -> Figure:
    """The dtype is kept, and autocast to bfloat16 works.

    Breach: what rotate computes in float32 is not cast back to states.dtype.
    """
    asked = trial.question(torch.arange(SEQ)[None])
    for kind in (torch.bfloat16, torch.float32, torch.float64):
        found = trial.part().to(kind).rotate(asked.query.to(kind), asked.query_ids).dtype
        if found != kind:
            return truth(False, f"{found} from {kind}")
    ids = trial.tokens()
    return modules.dtype(trial.model(), lambda model, kind: model(ids))


@promise("position", needs=("dtype", "longest"))
@torch.no_grad()
def exact(trial: PositionTrial) -> Figure:
    """In bfloat16 and under autocast places stay apart, far out too.

    Breach: frequencies are a buffer, which a cast of the model rounds, or ids become bfloat16, which holds no odd
    number above 256. Compute angles and distances in float32; under autocast, @ and einsum do not.
    """
    part = trial.part()
    for parameter in part.parameters():
        parameter.copy_(parameter.bfloat16())  # what a cast model can have
    last = trial.last(part)
    asked = trial.question(torch.cat((last[:, :LATER] - last[:, :1], last[:, LATER:]), dim=1))
    asked = asked.to(torch.bfloat16).to(torch.float64)
    expected = ask(part, asked)
    low = ask(copy.deepcopy(part).bfloat16(), asked.to(torch.bfloat16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = ask(copy.deepcopy(part).float(), asked.to(torch.float32))
    return worst(
        {
            "bfloat16": alike(low, expected, COARSE),
            "autocast": alike(mixed, expected, COARSE),
        }
    )


@promise("position", needs=("acts", "order"))
def learns(trial: PositionTrial) -> Figure:
    """Every parameter has a gradient.

    Breach: a parameter is detached or unused.
    """
    model, ids = trial.model().train(), trial.tokens(2, trial.sizes.max_seq_len)
    causal = model(ids)
    model.is_causal = False
    return modules.learns(model.position, torch.cat((causal, model(ids))))


class _Hooks(nn.Module):
    """What the hooks of a position give, as one tensor."""

    def __init__(self, part: Position, asked: Question) -> None:
        super().__init__()
        self.part, self.asked = part, asked

    def forward(self, query: Tensor) -> Tensor:
        answers = ask(self.part, dataclasses.replace(self.asked, query=query))
        return torch.cat([answer.flatten() for answer in answers.values()])


@promise("position", needs=("steady", "learns"))
def gradients(trial: PositionTrial) -> Figure:
    """Gradients agree with finite differences.

    Breach: rotate or content_bias stands under torch.no_grad, which is right for angles and not for what they turn; or
    a backward of one's own is wrong.
    """
    part, asked = trial.part(), trial.question(torch.arange(5)[None])
    looks = turns(part) or "content_bias" in ask(part, asked)
    if not looks and not list(part.parameters()):
        raise DoesNotApply("it has no gradient")
    return modules.gradients(_Hooks(part, asked), asked.query)


@promise("position", needs=("steady",))
def state(trial: PositionTrial) -> Figure:
    """Its state_dict holds all that it has learned.

    Breach: a tensor that matters is no parameter and no buffer.
    """
    ids = trial.tokens()
    return modules.state(trial.model(), trial.model(), lambda model: model(ids))


@promise("position", needs=("steady",))
def compiles(trial: PositionTrial) -> Figure:
    """torch.compile takes it whole, without a graph break.

    Breach: Python that looks at the values of a tensor breaks the graph, such as `if position_ids.max() > n`.
    """
    part, asked = trial.part(), trial.question(torch.arange(SEQ)[None])
    ask(part, asked)  # whether it does anything is not for the compiler to find out
    return modules.compiles(_Hooks(part, asked), lambda hooks: hooks(asked.query))


@promise("position", needs=("compiles",))
def device(trial: PositionTrial) -> Figure:
    """It works on a GPU: its tensors are made where the ids are.

    Breach: torch.arange or torch.tensor without device=position_ids.device, or a table that is no buffer.
    """
    part, ids = trial.part().to(ELSEWHERE), torch.arange(SEQ)[None]
    asked = trial.question(ids).on(ELSEWHERE)
    return follows(lambda: ask(part, asked))


@promise("position", needs=("steady", "longest"))
def options(trial: PositionTrial) -> Figure:
    """Each option does something.

    Breach: an option is read and not used, or another stands in its place. Where it acts only together with another
    one, leave this promise out with --skip options, or try it with that one, by --options.
    """
    dims = trial.sizes.dimensions()
    end = trial.last(trial.part())[0, -1].item()
    asked = trial.question(places(*range(SEQ), *(n for n in POWERS if SEQ <= n <= end)))
    ask(trial.part(), asked)  # whether it does anything at all
    return all_act(
        trial.spec, lambda spec: _Hooks(spec(dims), asked), lambda hooks: hooks(asked.query)
    )
