"""Positions with one bug each: the kit names the promise that it breaks, and no other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lightformer.dimensions import Dimensions
from lightformer.parts.position.learned import LearnedPosition
from lightformer.parts.position.rope import RotaryPosition
from lightformer.parts.position.shaw import ShawPosition
from lightformer.position import Position
from lightformer.registry import Spec
from lightformer.testing import promises
from tests.testing.mutants import Mutants, assert_named

mutants = Mutants("position")


class Rotary(RotaryPosition):
    """Rotary positions, to be spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)


class Shaw(ShawPosition):
    """Learned vectors for distances, to be spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)


class Turning(Position):
    """Rotary positions made by hand, out of angles that are spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.frequencies = 100.0 ** -torch.linspace(0.0, 1.0, dims.head_dim // 2).double()

    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        """(batch or 1, 1 or heads, seq, head_dim / 2)"""
        return position_ids[:, None, :, None] * self.frequencies.to(position_ids.device)

    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        angles = self.angles(states, position_ids)
        cos, sin = angles.cos().to(states.dtype), angles.sin().to(states.dtype)
        first, second = states.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Sloping(Position):
    """A learned slope for each head, on what is spoilt."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.linspace(0.1, 1.0, dims.num_heads))

    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        """(batch or 1, query, key)"""
        return (query_positions[:, :, None] - key_positions[:, None, :]).abs()

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return -self.slopes[:, None, None] * self.distance(query_positions, key_positions)[:, None]


@mutants.breaks("runs")
class ForgetsHeads(Sloping):
    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return -self.slopes[0] * self.distance(query_positions, key_positions)


@mutants.breaks("runs")
class ForgetsTheBatch(LearnedPosition):
    def embed(self, position_ids: Tensor) -> Tensor:
        return super().embed(position_ids[0])


@mutants.breaks("acts")
class MisspellsItsHook(Sloping):
    def biases(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return super().bias(query_positions, key_positions)

    bias = Position.bias


@mutants.breaks("acts")
class DeniesItsBias(Sloping):
    """Any attention takes it, also one that has no scores."""

    def acts_in_attention(self) -> bool:
        return False


@mutants.breaks("acts")
class SetsItsHooksOnTheObject(Position):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.inner = Rotary(dims)
        self.rotate = self.inner.rotate


@mutants.breaks("finite")
class TakesTheLogarithmOfNothing(Sloping):
    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return super().distance(query_positions, key_positions).log()


@mutants.breaks("finite")
class TakesTheRootOfNothing(Sloping):
    """What comes out is finite, and its gradient is not."""

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        far = self.distance(query_positions, key_positions)[:, None]
        return -(self.slopes.abs()[:, None, None] * far).sqrt()


@mutants.breaks("steady")
class StretchesForTheLongest(Turning):
    """A dynamic scaling that never shrinks again."""

    seen = 8

    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        self.seen = max(self.seen, position_ids.shape[1])
        return super().angles(states, position_ids) * 8 / self.seen


@mutants.breaks("steady")
class KeepsTheFirstBias(Sloping):
    """A bias is computed once for each length, whatever the ids."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.kept: dict[tuple[int, int], Tensor] = {}

    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        lengths = query_positions.shape[1], key_positions.shape[1]
        if lengths not in self.kept:
            self.kept[lengths] = super().bias(query_positions, key_positions)
        return self.kept[lengths]


@mutants.breaks("steady")
class DrawsPlacesInTraining(Turning):
    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        if self.training:
            position_ids = position_ids + torch.randint(0, 5, position_ids.shape).cumsum(dim=1)
        return super().angles(states, position_ids)


@mutants.breaks("steady")
class StretchesByWhatItWasTrainedOn(Turning):
    """What it has seen in train() acts only afterwards."""

    seen = 8

    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        angles = super().angles(states, position_ids) * 8 / self.seen
        if self.training:
            self.seen = max(self.seen, position_ids.shape[1])
        return angles


@mutants.breaks("order")
class RoundsItsSlopesToNothing(Sloping):
    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return super().bias(query_positions, key_positions) * 0


@mutants.breaks("behind")
class KnowsLaterKeysAlone(Sloping):
    """A slip of the sign, so that it does nothing in a causal model."""

    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        return (key_positions[:, None, :] - query_positions[:, :, None]).clamp(min=0)


@mutants.breaks("order")
class ComparesQueriesWithThemselves(Sloping):
    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        same = super().distance(query_positions, query_positions).diagonal(dim1=1, dim2=2)
        return same[:, :, None].expand(-1, -1, key_positions.shape[1])


@mutants.breaks("ids")
class CountsForItself(Turning):
    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        count = torch.arange(position_ids.shape[1], device=position_ids.device)
        return super().angles(states, count[None])


@mutants.breaks("ids")
class CountsOnFromTheFirst(Turning):
    """Right with a cache, and wrong in a packed row."""

    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        count = torch.arange(position_ids.shape[1], device=position_ids.device)
        return super().angles(states, position_ids[:, :1] + count)


@mutants.breaks("rows")
class TakesTheFirstRowForAll(Turning):
    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return super().angles(states, position_ids[:1])


@mutants.breaks("rows")
class MixesRows(Shaw):
    def content_bias(self, query: Tensor, *more: Tensor) -> Tensor:
        return super().content_bias(query + query.mean(dim=0), *more)


@mutants.breaks("pieces")
class DividesByTheLastPlace(Sloping):
    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        last = query_positions.amax(dim=1)[:, None, None] + 1
        return super().distance(query_positions, key_positions) / last


@mutants.breaks("pieces")
class CentresStates(Turning):
    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return super().rotate(states - states.mean(dim=2, keepdim=True), position_ids)


@mutants.breaks("lengthens")
class SlipsInItsFormula(Turning):
    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        angles = self.angles(states, position_ids)
        cos, sin = angles.cos().to(states.dtype), angles.sin().to(states.dtype)
        first, second = states.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, first * sin - second * cos), dim=-1)


@mutants.breaks("lengthens")
class HidesItsFactor(Turning):
    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return 1.5 * super().rotate(states, position_ids)


@mutants.breaks("lengthens")
class ClaimsAFactor(Turning):
    lengthens = True


@mutants.breaks("key heads")
class HasAFrequencyForEachHead(Turning):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.frequencies = self.frequencies * torch.linspace(1, 2, dims.num_heads)[:, None, None]


class Counts(Position):
    """Adds the number of keys that matter from the key to the query (CoPE), or rather to the end of the row."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.full((dims.num_heads, 1, 1), 0.5))

    def gates(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        gates = (query @ key.mT * query.shape[-1] ** -0.5).sigmoid()
        return gates * (key_positions[:, None, None, :] <= query_positions[:, None, :, None])

    def content_bias(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        gates = self.gates(query, key, query_positions, key_positions)
        return self.size * gates.flip(-1).cumsum(dim=-1).flip(-1).log1p()


@mutants.breaks("key heads")
class SharesKeysInTurn(Counts):
    """Key heads 0, 1, 2 serve query heads 0, 3 and 1, 4 and 2, 5, where they should serve 0, 1 and 2, 3 and 4, 5."""

    def content_bias(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        key = key.repeat(1, query.shape[1] // key.shape[1], 1, 1)
        scores = (query @ key.mT).sigmoid() * self.size
        return scores / (
            1 + (query_positions[:, None, :, None] - key_positions[:, None, None]).abs()
        )


@mutants.breaks("causal")
class CountsLaterKeys(Counts):
    def gates(
        self, query: Tensor, key: Tensor, query_positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        return super().gates(query, key, key_positions.amax(dim=1, keepdim=True), key_positions)


@mutants.breaks("hidden")
class CountsPadding(Counts):
    """Padding on the right has the id of the last token."""


@mutants.breaks("cached")
class TurnsTheSignForOneQuery(Sloping):
    """A shortcut for generation: where one query is last, a distance is a key's place, up to a constant."""

    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        if query_positions.shape[1] == 1:
            return key_positions[:, None, :]
        return super().distance(query_positions, key_positions)


@mutants.breaks("longest")
class ForgetsItsEnd(LearnedPosition):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.longest = None


@mutants.breaks("longest")
class PromisesOnePlaceMore(LearnedPosition):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.longest = dims.max_seq_len + 1


@mutants.breaks("longest")
class TakesWhatIsFarForTheLast(LearnedPosition):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.longest = None

    def embed(self, position_ids: Tensor) -> Tensor:
        return super().embed(position_ids.clamp(max=self.embedding.num_embeddings - 1))


@mutants.breaks("longest")
class BeginsAnew(LearnedPosition):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.longest = None

    def embed(self, position_ids: Tensor) -> Tensor:
        return super().embed(position_ids % self.embedding.num_embeddings)


@mutants.breaks("longest")
class BeginsAnewWithinItsTable(LearnedPosition):
    def embed(self, position_ids: Tensor) -> Tensor:
        return super().embed(position_ids % 16)


@mutants.breaks("longest")
class GrowsBeyondAllNumbers(Sloping):
    """A distance as a quotient of powers."""

    def distance(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        powers = [2.0 ** ids.double() for ids in (query_positions, key_positions)]
        return (powers[0][:, :, None] / powers[1][:, None, :]).log2().abs()


@mutants.breaks("dtype")
class ForgetsToCastBack(Rotary):
    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return super().rotate(
            states.to(torch.promote_types(states.dtype, torch.float32)), position_ids
        )


@mutants.breaks("exact")
class KeepsItsFrequenciesInABuffer(Turning):
    frequencies: Tensor

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        frequencies = self.frequencies
        del self.frequencies
        self.register_buffer("frequencies", frequencies, persistent=False)


@mutants.breaks("exact")
class CastsIds(Turning):
    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return position_ids.to(states.dtype)[:, None, :, None] * self.frequencies.to(states)


@mutants.breaks("exact")
class MultipliesMatrices(Turning):
    """Autocast to bfloat16 takes hold of the product."""

    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        dtype = torch.promote_types(states.dtype, torch.float32)
        ids = position_ids[:, None, :, None].to(dtype)
        return ids @ self.frequencies.to(ids)[None, None, None]


@mutants.breaks("learns")
class DetachesItsVectors(LearnedPosition):
    def embed(self, position_ids: Tensor) -> Tensor:
        return super().embed(position_ids).detach()


@mutants.breaks("learns")
class HasAnIdleParameter(Turning):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.stretch = nn.Parameter(torch.ones(1))


@mutants.breaks("gradients")
class RotatesWithoutAGradient(Rotary):
    @torch.no_grad()
    def rotate(self, states: Tensor, position_ids: Tensor) -> Tensor:
        return super().rotate(states, position_ids)


@mutants.breaks("gradients")
class HalvesGradients(Sloping):
    def bias(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        bias = super().bias(query_positions, key_positions)
        return 0.5 * bias + 0.5 * bias.detach()


@mutants.breaks("state")
class HidesItsFrequencies(Turning):
    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.frequencies = torch.rand(dims.head_dim // 2).double()


@mutants.breaks("compiles")
class LooksAtTheLastPlace(Turning):
    def angles(self, states: Tensor, position_ids: Tensor) -> Tensor:
        if position_ids.max() > 50_000:
            position_ids = position_ids // 2
        return super().angles(states, position_ids)


@mutants.breaks("device")
class ForgetsTheDevice(Rotary):
    def frequencies(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return super().frequencies(dtype, torch.device("cpu"))


@mutants.breaks("device")
class KeepsATable(LearnedPosition):
    """A table that is no buffer stays where it was made."""

    def __init__(self, dims: Dimensions, /) -> None:
        super().__init__(dims)
        self.embedding = None
        steps = torch.arange(dims.max_seq_len * dims.hidden_size).view(-1, dims.hidden_size)
        self.table = steps.sin()

    def embed(self, position_ids: Tensor) -> Tensor:
        return self.table[position_ids]


@mutants.breaks("options")
class HasAnIdleOption(Turning):
    def __init__(self, dims: Dimensions, /, *, factor: float = 1.0) -> None:
        super().__init__(dims)


@pytest.mark.parametrize(("spec", "promise"), mutants.parameters())
def test_the_kit_names_the_broken_promise(spec: Spec, promise: str) -> None:
    assert_named(spec, promise)


def test_every_promise_has_a_mutant() -> None:
    assert {promise for promise, *_ in mutants.found} == {p.name for p in promises("position")}
