"""Wirings with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.block import Block, BlockParts
from lightformer.errors import ConfigError
from lightformer.norm import Norm
from lightformer.registry import Spec, make_spec
from lightformer.testing import ABSENT, HELD, REFUSED, check, promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("block")


class Plain(Block):
    """Norms before the parts, to be spoilt."""

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.attention_norm = parts.new_norm()
        self.cross_attention_norm = parts.new_norm() if parts.cross_attention else None
        self.feedforward_norm = parts.new_norm()

    def forward(
        self,
        hidden_states: Tensor,
        context: AttentionContext,
        cross_context: AttentionContext | None = None,
    ) -> Tensor:
        hidden_states = self.looked_around(hidden_states, context)
        if self.cross_attention is not None and cross_context is not None:
            hidden_states = self.read(hidden_states, context, cross_context)
        return self.fed(hidden_states)

    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        return states + self.dropout(self.attention(self.attention_norm(states), context))

    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        return states + self.dropout(self.cross_attention(self.cross_attention_norm(states), other))

    def fed(self, states: Tensor) -> Tensor:
        return states + self.dropout(self.feedforward(self.feedforward_norm(states)))


class WithContext(Plain):
    """Spoils what its own attention is given."""

    def spoilt(self, context: AttentionContext) -> AttentionContext:
        raise NotImplementedError

    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        return super().looked_around(states, self.spoilt(context))


class WithOutput(Plain):
    """Spoils what comes out."""

    def spoilt(self, states: Tensor) -> Any:
        raise NotImplementedError

    def fed(self, states: Tensor) -> Tensor:
        return self.spoilt(super().fed(states))


@mutants.breaks("runs")
class ReturnsATuple(WithOutput):
    def spoilt(self, states: Tensor) -> Any:
        return states, None


@mutants.breaks("runs")
class AlwaysReads(Plain):
    """An encoder has no other attention."""

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.reader = parts.cross_attention.output


@mutants.breaks("intact")
class AddsInPlace(Plain):
    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        states += self.dropout(self.attention(self.attention_norm(states), context))
        return states


@mutants.breaks("steady")
class SkipsItsPartsNowAndThen(Plain):
    """Stochastic depth, of which no option tells."""

    def fed(self, states: Tensor) -> Tensor:
        return states if self.training and torch.rand(()) < 0.5 else super().fed(states)


@mutants.breaks("steady")
class RemembersItsTraining(WithOutput):
    """What it has seen in train() acts only afterwards."""

    seen: Tensor

    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.register_buffer("seen", torch.zeros(1))

    def spoilt(self, states: Tensor) -> Tensor:
        out = states * (1.0 + 0.1 * self.seen.to(states.dtype))
        if self.training:
            self.seen = self.seen.lerp(states.detach().abs().mean().to(self.seen.dtype), 0.5)
        return out


@mutants.breaks("steady")
class Remembers(WithOutput):
    calls = 0

    def spoilt(self, states: Tensor) -> Tensor:
        self.calls += 1
        return states * (1.0 + 0.01 * self.calls)


@mutants.breaks("causal")
class SeesTheFuture(WithContext):
    def spoilt(self, context: AttentionContext) -> AttentionContext:
        return replace(context, mask=replace(context.mask, is_causal=False))


@mutants.breaks("sees")
class ForgetsItsAttention(Plain):
    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        super().looked_around(states, context)
        return states


@mutants.breaks("batch")
class SharesTheBatch(WithOutput):
    def spoilt(self, states: Tensor) -> Tensor:
        return states + 0.1 * states.mean(dim=0)


@mutants.breaks("padding")
class ReadsPadding(WithContext):
    def spoilt(self, context: AttentionContext) -> AttentionContext:
        return replace(context, mask=replace(context.mask, is_token=None))


@mutants.breaks("padding")
class AveragesTheRow(Plain):
    """An encoder's summary of a text, padding and all."""

    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        found = super().looked_around(states, context)
        return found if context.mask.is_causal else found + 0.1 * found.mean(dim=1, keepdim=True)


@mutants.breaks("padding")
class ReadsOneBack(WithOutput):
    """A token shift: it takes what stands before the first token for one."""

    def spoilt(self, states: Tensor) -> Tensor:
        return states + 0.1 * F.pad(states, (0, 0, 1, 0))[:, :-1]


@mutants.breaks("packed")
class CrossesBorders(WithContext):
    def spoilt(self, context: AttentionContext) -> AttentionContext:
        mask = replace(context.mask, query_documents=None, key_documents=None)
        return replace(context, mask=mask)


@mutants.breaks("packed")
class CountsOn(WithContext):
    """It makes positions of its own, which do not restart with a document."""

    def spoilt(self, context: AttentionContext) -> AttentionContext:
        if context.mask.query_documents is None:
            return context
        length = context.query_positions.shape[1]
        count = torch.arange(length)[None] ** 2
        return replace(context, query_positions=count, key_positions=count)


@mutants.breaks("cached")
class StartsAnew(WithContext):
    """Positions count from the start of each call."""

    def spoilt(self, context: AttentionContext) -> AttentionContext:
        if context.cache is None:
            return context
        return replace(
            context, query_positions=torch.arange(context.query_positions.shape[1])[None]
        )


@mutants.breaks("memory")
class ForgetsTheOther(Plain):
    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        super().read(states, context, other)
        return states


@mutants.breaks("memory")
class ReadsItselfAgain(Plain):
    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        return super().read(states, context, context)


@mutants.breaks("memory")
class ReadsPaddingOfTheOther(Plain):
    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        return super().read(
            states, context, replace(other, mask=replace(other.mask, is_token=None))
        )


@mutants.breaks("cached memory")
class ReadsTheOtherOnce(Plain):
    """As if it were in the cache of the text by now."""

    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        if context.mask.query_start:
            return states
        return super().read(states, context, other)


@mutants.breaks("weights")
class MakesItsOwnContext(WithContext):
    def spoilt(self, context: AttentionContext) -> AttentionContext:
        return AttentionContext(
            mask=context.mask,
            position=context.position,
            query_positions=context.query_positions,
            key_positions=context.key_positions,
            cache=context.cache,
        )


@mutants.breaks("residual")
class ForgetsTheResidual(Plain):
    def fed(self, states: Tensor) -> Tensor:
        return self.dropout(self.feedforward(self.feedforward_norm(states)))


@mutants.breaks("residual")
class AttentionReplacesTheResidual(Plain):
    def looked_around(self, states: Tensor, context: AttentionContext) -> Tensor:
        return self.dropout(self.attention(self.attention_norm(states), context))


@mutants.breaks("final norm")
class LeavesOutTheLastNorm(Plain):
    def final_norm(self, new_norm: Callable[[], Norm]) -> nn.Module:
        return nn.Identity()


@mutants.breaks("final norm")
class LastNormIsAFunction(Plain):
    def final_norm(self, new_norm: Callable[[], Norm]) -> Any:
        return lambda states: F.layer_norm(states, states.shape[-1:])


@mutants.breaks("learns")
class HasASpareNorm(Plain):
    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.output_norm = parts.new_norm()


@mutants.breaks("learns")
class ForgetsItsFeedForward(Plain):
    def fed(self, states: Tensor) -> Tensor:
        return states + self.dropout(self.feedforward_norm(states))


@mutants.breaks("gradients")
class DetachesTheResidual(Plain):
    def fed(self, states: Tensor) -> Tensor:
        return states.detach() + self.dropout(self.feedforward(self.feedforward_norm(states)))


@mutants.breaks("deep")
class HalvesTheResidual(WithOutput):
    def spoilt(self, states: Tensor) -> Tensor:
        return states * 0.5


@mutants.breaks("deep")
class AddsTheResidualTwice(Plain):
    def fed(self, states: Tensor) -> Tensor:
        return states + super().fed(states)


@mutants.breaks("dropout")
class ForgetsToDropWhatIsRead(Plain):
    def read(self, states: Tensor, context: AttentionContext, other: AttentionContext) -> Tensor:
        return states + self.cross_attention(self.cross_attention_norm(states), other)


@mutants.breaks("dropout")
class DropsTheResidual(Plain):
    def fed(self, states: Tensor) -> Tensor:
        return self.dropout(states + self.feedforward(self.feedforward_norm(states)))


@mutants.breaks("dropout")
class DropsInUse(Plain):
    def fed(self, states: Tensor) -> Tensor:
        changed = self.feedforward(self.feedforward_norm(states))
        return states + F.dropout(changed, self.dropout.p)


@mutants.breaks("dtype")
class WidensTheDtype(WithOutput):
    def spoilt(self, states: Tensor) -> Tensor:
        return states * torch.full((1,), 0.9, device=states.device)


@mutants.breaks("state")
class HidesANumber(Plain):
    def __init__(self, parts: BlockParts, /) -> None:
        super().__init__(parts)
        self.share = 0.5 + torch.rand(()).item()

    def fed(self, states: Tensor) -> Tensor:
        return states + self.share * (super().fed(states) - states)


@mutants.breaks("compiles")
class LooksAtValues(WithOutput):
    def spoilt(self, states: Tensor) -> Tensor:
        return states.clamp(-1e6, 1e6) if states.abs().max().item() > 1e6 else states


@mutants.breaks("device")
class ForgetsTheDevice(WithOutput):
    def spoilt(self, states: Tensor) -> Tensor:
        return states * torch.linspace(0.99, 1.01, states.shape[-1]).to(states.dtype)


@mutants.breaks("options")
class HasAnIdleOption(Plain):
    def __init__(self, parts: BlockParts, /, *, factor: float = 1.0) -> None:
        super().__init__(parts)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("block")}


class ForEncoders(Plain):
    """Sound, but it has no place for another sequence, and says so."""

    def __init__(self, parts: BlockParts, /) -> None:
        if parts.cross_attention is not None:
            raise ConfigError("This wiring reads no other sequence; choose pre_norm.")
        super().__init__(parts)


def test_what_a_wiring_refuses_is_no_breach() -> None:
    report = check(make_spec("block", "for_encoders", ForEncoders)())
    found = {r.promise.name: r.status for r in report.results}
    assert {name for name, status in found.items() if status == REFUSED} == {
        "memory",
        "cached memory",
    }
    assert {name for name, status in found.items() if status == ABSENT} == {"options"}
    assert set(found.values()) == {HELD, REFUSED, ABSENT}
