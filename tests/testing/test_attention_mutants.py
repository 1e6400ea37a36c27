"""Attentions with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.attention import AttentionContext
from lightformer.cache import KeyValueCache
from lightformer.dimensions import Dimensions
from lightformer.position import NoPosition
from lightformer.registry import Spec
from lightformer.softmax_attention import SoftmaxAttention
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("attention")


class Plain(SoftmaxAttention):
    """Multi-head attention, to be spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)


class WithMask(Plain):
    """Spoils the mask."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        raise NotImplementedError

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        mask = replace(context.mask, **self.spoilt(context))
        return super().forward(hidden_states, replace(context, mask=mask))


class WithOutput(Plain):
    """Spoils what comes out."""

    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        raise NotImplementedError

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return self.spoilt(super().forward(hidden_states, context), context)


@mutants.breaks("runs")
class DropsAToken(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended[:, 1:]


@mutants.breaks("intact")
class WorksInPlace(Plain):
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return super().forward(hidden_states.mul_(0.5), context)


@mutants.breaks("intact")
class WorksInPlaceOnMemory(Plain):
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        if context.memory is not None:
            context.memory.clamp_(-1.0, 1.0)
        return super().forward(hidden_states, context)


@mutants.breaks("steady")
class Noisy(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended + 1e-3 * torch.randn_like(attended)


@mutants.breaks("steady")
class Remembers(WithOutput):
    calls = 0

    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        self.calls += 1
        return attended * (1.0 + 0.01 * self.calls)


@mutants.breaks("steady")
class RemembersItsTraining(WithOutput):
    """What it has seen in train() acts afterwards."""

    seen: Tensor

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.register_buffer("seen", torch.zeros(1))

    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        out = attended * (1.0 + self.seen.to(attended.dtype))
        if self.training:
            self.seen = self.seen.lerp(attended.detach().abs().mean().to(self.seen.dtype), 0.5)
        return out


@mutants.breaks("steady")
class OtherInTraining(WithMask):
    """Leaks the future where nobody looks."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        own = context.memory is None
        return {"is_causal": context.mask.is_causal and not (own and self.training)}


@mutants.breaks("causal")
class SeesTheFuture(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {"is_causal": False}


@mutants.breaks("causal")
class SeesOneAhead(Plain):
    """The triangle starts one too far to the right."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        mask = context.mask
        if mask.is_causal and context.memory is None and context.cache is None:
            old = mask.rule

            def rule(query: Tensor, key: Tensor) -> Tensor:
                near = key <= query + 1
                return near if old is None else near & old(query, key)

            context = replace(context, mask=replace(mask, is_causal=False, rule=rule))
        return super().attend(query, key, value, context, key_start)


@mutants.breaks("sees")
class LooksAtItself(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        if context.memory is not None:
            return {}
        return {"rule": lambda query, key: query == key}


@mutants.breaks("batch")
class SharesTheBatch(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended + 0.1 * attended.mean(dim=0)


@mutants.breaks("padding")
class ReadsPadding(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {} if context.memory is not None else {"is_token": None}


@mutants.breaks("packed")
class CrossesBorders(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {"query_documents": None, "key_documents": None}


@mutants.breaks("memory")
class ReadsTheMemoryOfOthers(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        if context.memory is None:
            return {}
        return {"query_documents": None, "key_documents": None}


@mutants.breaks("memory")
class ReadsMemoryOfEarlierDocuments(WithMask):
    """The first document of a row is right, and no other."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        queries, keys = context.mask.query_documents, context.mask.key_documents
        if context.memory is None or queries is None or keys is None:
            return {}
        documents = {"query_documents": None, "key_documents": None}
        return {**documents, "rule": lambda q, k: queries[:, None, :, None] >= keys[:, None, None]}


@mutants.breaks("lengths")
class SeesTheFutureOfLongTexts(WithMask):
    """A limit far above the lengths of most tests."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        long = context.memory is None and context.query_positions.shape[1] > 500
        return {"is_causal": context.mask.is_causal and not long}


@mutants.breaks("lengths")
class CrossesBordersOfLongTexts(WithMask):
    """Where it works in chunks, it forgets all but the causal rule."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        if context.key_positions.shape[1] <= 64:
            return {}
        return {"query_documents": None, "key_documents": None}


@mutants.breaks("lengths")
class ReadsPaddingOfLongTexts(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {"is_token": None} if context.key_positions.shape[1] > 64 else {}


@mutants.breaks("lengths")
class ForgetsTheStartOfLongTexts(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        first = context.key_positions.shape[1] - 100
        old = context.mask.rule
        return (
            {} if first <= 0 else {"rule": lambda q, k: (k >= first) if old is None else old(q, k)}
        )


@mutants.breaks("cached")
class CacheIsShort(Plain):
    def new_cache(self) -> KeyValueCache:
        return KeyValueCache(window=4)


@mutants.breaks("cached lengths")
class CacheIsShorterThanItsWindow(SoftmaxAttention):
    def __init__(self, dims: Dimensions, /, *, window: int = 32) -> None:
        super().__init__(dims, window=window)

    def new_cache(self) -> KeyValueCache:
        return KeyValueCache(window=28)


@mutants.breaks("cached lengths")
class CacheForgetsBeyondARoom(Plain):
    def new_cache(self) -> KeyValueCache:
        return KeyValueCache(window=256)


@mutants.breaks("cached")
class CacheIsTurnedAgain(Plain):
    """Keys are rotated by where they stand in the call, and not in the text."""

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        if context.cache is not None and context.memory is None:
            count = torch.arange(hidden_states.shape[1])[None]
            keys = torch.arange(context.key_positions.shape[1])[None]
            context = replace(context, query_positions=count, key_positions=keys)
        return super().forward(hidden_states, context)


class _ValuesStay(KeyValueCache):
    def select(self, rows: Tensor) -> None:
        super().select(rows)
        if self.value is not None:
            self.value = self.value.flip(0)


@mutants.breaks("cache rows")
class CacheKeepsItsValues(Plain):
    def new_cache(self) -> KeyValueCache:
        return _ValuesStay()


@mutants.breaks("cached packed")
class RemembersOtherDocuments(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        if context.cache is None or context.memory is not None or not context.mask.query_start:
            return {}
        return {"query_documents": None, "key_documents": None}


@mutants.breaks("cached packed")
class ForgetsItsDocument(WithMask):
    """What the cache holds counts as another document."""

    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        keys, start = context.mask.key_documents, context.mask.query_start
        if keys is None or context.memory is not None or start < 2:
            return {}
        return {"key_documents": torch.cat((keys[:, : start - 1] - 100, keys[:, start - 1 :]), 1)}


@mutants.breaks("memory")
class ReadsPaddingOfMemory(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {} if context.memory is None else {"is_token": None}


@mutants.breaks("memory")
class ForgetsMemory(Plain):
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        if context.memory is not None:
            context = replace(context, memory=torch.zeros_like(context.memory))
        return super().forward(hidden_states, context)


@mutants.breaks("cached memory")
class MixesCachedMemory(Plain):
    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        if context.memory is not None and context.cache is not None:
            value = value.roll(1, dims=2)
        return super().attend(query, key, value, context, key_start)


@mutants.breaks("prefix")
class ForgetsThePrefix(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {"prefix_lengths": None}


@mutants.breaks("rule")
class ForgetsTheRule(WithMask):
    def spoilt(self, context: AttentionContext) -> dict[str, Any]:
        return {"rule": None}


@mutants.breaks("order")
class ForgetsPositions(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.none = (NoPosition(dims),)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return super().forward(hidden_states, replace(context, position=self.none[0]))


@mutants.breaks("order")
class HasItsOwnOrder(Plain):
    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        if context.memory is None:
            keys = context.key_positions[:, key_start : key_start + key.shape[2]]
            far = context.query_positions[:, :, None] - keys[:, None, :]
            given = replace(context, weights=[])
            super().attend(query, key, value, given, key_start)
            weights = given.weights[0] * (1.0 + far.abs()[:, None]).to(value.dtype) ** -1
            if context.weights is not None:
                context.weights.append(weights)
            return F.dropout(weights, 0.0) @ value
        return super().attend(query, key, value, context, key_start)


@mutants.breaks("learns")
class HasAnIdleParameter(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.idle = nn.Parameter(torch.ones(dims.num_heads))


@mutants.breaks("learns")
class DetachesItsQueries(Plain):
    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        return super().attend(query.detach(), key, value, context, key_start)


@mutants.breaks("gradients")
class HalvesGradients(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return 0.5 * attended + 0.5 * attended.detach()


@mutants.breaks("dtype")
class WidensTheDtype(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended + torch.zeros(1, dtype=torch.float32, device=attended.device)


@mutants.breaks("finite")
class DividesByNothing(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        if context.mask.is_token is None or context.cache is not None:
            return attended
        count = context.mask.is_token.sum(dim=1)[:, None, None].to(attended.dtype)
        return attended * (count / count)


@mutants.breaks("weights")
class KeepsItsWeights(Plain):
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return super().forward(hidden_states, replace(context, weights=None))


@mutants.breaks("weights")
class ChangesWhenAsked(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended if context.weights is None else attended * 1.01


@mutants.breaks("true weights")
class ShowsWeightsOfItsOwn(Plain):
    """The same for every token that it may look at."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        if context.weights is not None:
            mask = context.mask.dense(query.shape[2], key.shape[2], query.device, key_start)
            shape = (*query.shape[:3], key.shape[2])
            shown = torch.ones(shape, dtype=query.dtype)
            shown = shown if mask is None else shown * mask
            context.weights.append(shown / shown.sum(dim=-1, keepdim=True).clamp(min=1.0))
        return super().attend(query, key, value, replace(context, weights=None), key_start)


@mutants.breaks("true weights")
class ShowsWeightsWithoutTheBias(Plain):
    """What is shown leaves the position out."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.none = (NoPosition(dims),)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        if context.weights is not None:
            bare = replace(context, position=self.none[0], biases=[])
            super().attend(query, key, value, bare, key_start)
        given = replace(context, weights=None)
        return super().attend(query, key, value, given, key_start)


@mutants.breaks("true weights")
class ShowsScores(Plain):
    """What is shown was made before the softmax."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        shown = None if context.weights is None else list[Tensor]()
        given = replace(context, weights=shown)
        gathered = super().attend(query, key, value, given, key_start)
        if shown and context.weights is not None:
            scores = query @ key.mT * query.shape[-1] ** -0.5
            context.weights.append(scores.where(shown[0] > 0.0, 0.0))
        return gathered


class WithDropout(SoftmaxAttention):
    def __init__(self, dims: Dimensions, /, *, dropout: float = 0.0) -> None:
        super().__init__(dims)
        self.share = dropout


@mutants.breaks("dropout")
class DropsInUse(WithDropout):
    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return F.dropout(super().forward(hidden_states, context), self.share, training=True)


@mutants.breaks("dropout")
class NeverDrops(WithDropout):
    pass


@mutants.breaks("dropout")
class DropsAsItLikes(SoftmaxAttention):
    def __init__(self, dims: Dimensions, /, *, dropout: float = 0.0) -> None:
        super().__init__(dims, dropout=0.9 if dropout else 0.0)


@mutants.breaks("state")
class HidesANumber(Plain):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.factor = 1.0 + torch.rand(()).item()

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        return super().forward(hidden_states, context) * self.factor


@mutants.breaks("compiles")
class LooksAtValues(WithOutput):
    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended if attended.sum().item() < 1e9 else -attended


@mutants.breaks("device")
class ForgetsTheDevice(Plain):
    """A factor for each head."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, key_start: int
    ) -> Tensor:
        factors = 1.0 + 0.1 * torch.arange(query.shape[1], dtype=query.dtype)
        return super().attend(query * factors[:, None, None], key, value, context, key_start)


@mutants.breaks("device")
class KeepsATable(WithOutput):
    """A tensor that is no buffer stays where it was made."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.factors = torch.linspace(0.5, 1.5, dims.hidden_size)

    def spoilt(self, attended: Tensor, context: AttentionContext) -> Tensor:
        return attended * self.factors.to(attended.dtype)


@mutants.breaks("options")
class HasAnIdleOption(Plain):
    def __init__(self, dims: Dimensions, /, *, factor: float = 1.0) -> None:
        super().__init__(dims)


@mutants.breaks("options")
class ForgetsItsWindow(SoftmaxAttention):
    """Always as wide as it would be by default."""

    def __init__(self, dims: Dimensions, /, *, window: int | None = 32) -> None:
        super().__init__(dims, window=32)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("attention")}
