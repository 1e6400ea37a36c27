"""Linear attention."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer.attention import Attention, AttentionContext
from lightformer.cache import LayerCache
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError
from lightformer.masks import AttentionMask
from lightformer.position import Position
from lightformer.registry import register

CHUNK = 64
"""So many queries and keys meet one by one; all keys before them are one sum."""


@register("attention", "linear")
class LinearAttention(Attention):
    """Time and memory grow with the length of a sequence, and not with its square.

    A key weighs phi(query) . phi(key), where phi(x) = elu(x) + 1, in place of a softmax. All that has been read is
    then one sum of fixed size, and this is also all that generation remembers, however long the text. It picks out
    a single token less sharply than a softmax does.

    Where a packed batch reads another packed sequence, no sum suits all queries: they meet all keys one by one, and
    time and memory grow there with the product of both lengths.

    It has no scores to which a position could add (alibi). One that rotates turns phi(query) and phi(key) in what
    is gathered, but not in its divisor, which stays positive (Su et al., 2021, arXiv:2104.09864, section 3.3).

    Paper: Katharopoulos et al., 2020, arXiv:2006.16236

    Args:
        bias: whether the four projections have a bias
    """

    def __init__(self, dims: Dimensions, /, *, bias: bool = True) -> None:
        super().__init__()
        width = dims.num_heads * dims.head_dim
        self.num_heads = dims.num_heads
        self.query = nn.Linear(dims.hidden_size, width, bias)
        self.key = nn.Linear(dims.hidden_size, width, bias)
        self.value = nn.Linear(dims.hidden_size, width, bias)
        self.output = nn.Linear(width, dims.hidden_size, bias)

    def forward(self, hidden_states: Tensor, context: AttentionContext) -> Tensor:
        cache = context.cache if isinstance(context.cache, RunningSums) else RunningSums()
        _check(context, cache)
        query = self._heads(self.query(hidden_states))
        if context.memory is not None and cache.sums is not None and not context.mask.is_packed:
            key = value = query[:, :, :0]  # the other sequence has been read already
        else:
            source = hidden_states if context.memory is None else context.memory
            key, value = self._heads(self.key(source)), self._heads(self.value(source))
        with _without_autocast(query.device):  # it would round the sums
            gathered = _gather(query, key, value, context, cache)
        return self.output(gathered.transpose(1, 2).flatten(2))  # (batch, query, hidden)

    def check_position(self, position: Position) -> None:
        if position.acts_on_scores():
            raise ConfigError(
                f"{type(position).__name__} adds to the scores of queries and keys, but LinearAttention has running "
                "sums in their place; choose position rope, learned, sinusoidal or none, or attention mha."
            )

        if position.lengthens:
            raise ConfigError(
                f"{type(position).__name__} makes queries and keys longer (its attention_factor is not 1), and in "
                "LinearAttention so all that is gathered; set attention_factor to 1, or choose attention mha."
            )

    def new_cache(self) -> RunningSums:
        return RunningSums()

    def _heads(self, states: Tensor) -> Tensor:
        """From (batch, seq, heads * head_dim) to (batch, heads, seq, head_dim)."""
        return states.view(*states.shape[:2], self.num_heads, -1).transpose(1, 2).contiguous()


class RunningSums(LayerCache):
    """What linear attention remembers of all keys: the sum of phi(key) value^T, and the sum of phi(key).

    Attributes:
        sums: (batch, heads, head_dim, head_dim) and (batch, heads, head_dim, 1), or None before the first key
    """

    def __init__(self) -> None:
        self.sums: tuple[Tensor, Tensor] | None = None

    def select(self, rows: Tensor) -> None:
        if self.sums is not None:
            self.sums = self.sums[0][rows], self.sums[1][rows]


def _check(context: AttentionContext, cache: RunningSums) -> None:
    """Refuses what running sums cannot do."""
    mask = context.mask
    if mask.window is not None or mask.rule is not None:
        has, instead = ("window", "sliding_window") if mask.rule is None else ("rule", "mha")
        raise ConfigError(
            f"LinearAttention has one sum of all that stands before a query, so its mask cannot have a {has}; "
            f"choose attention {instead}."
        )
    if context.memory is not None and mask.is_causal:
        raise ConfigError(
            "LinearAttention has one sum of another sequence for all queries, so none of that sequence can come later; "
            "choose attention mha."
        )
    if context.weights is not None and cache.sums is not None:
        raise ConfigError(
            "LinearAttention remembers sums and no single token, so a cache leaves no attention weights to show; "
            "leave out one of the two."
        )


def _gather(
    query: Tensor, key: Tensor, value: Tensor, context: AttentionContext, cache: RunningSums
) -> Tensor:
    """Returns what each query gathers, (batch, heads, query, head_dim); zeros where it may look at nothing.

    Args:
        query: (batch, heads, query, head_dim)
        key: (batch, heads, key, head_dim), those that are not in the cache
        value: (batch, heads, key, head_dim)
        context: mask and positions
        cache: the keys are added to its sums
    """
    mask, key_len, dtype = context.mask, key.shape[2], value.dtype
    own = context.memory is None
    query, key = _phi(query), _phi(key)
    value = value.to(query.dtype)
    if mask.is_token is not None:  # of both sums, padding is no part
        start = mask.query_start if own else 0
        is_token = mask.is_token[:, None, start : start + key_len, None]
        key = key.masked_fill(~is_token, 0.0)
    key_positions = context.query_positions if own else context.key_positions[:, :key_len]
    turned_query = context.position.rotate(query, context.query_positions)
    turned_key = context.position.rotate(key, key_positions)
    values, keys = cache.sums or (None, None)
    gathered, values = _sum(turned_query, turned_key, value, mask, values, own=own)
    divisor, keys = _sum(query, key, torch.ones_like(value[..., :1]), mask, keys, own=own)
    divisor = divisor.masked_fill(divisor == 0.0, 1.0)
    if context.weights is not None:
        products = turned_query @ turned_key.mT  # (batch, heads, query, key)
        allowed = mask.dense(query.shape[2], key_len, query.device)
        if allowed is not None:
            products = products.masked_fill(~allowed, 0.0)
        context.weights.append((products / divisor).to(dtype))
    cache.sums = values, keys
    return (gathered / divisor).to(dtype)


def _phi(states: Tensor) -> Tensor:
    """elu(x) + 1 as one power, in at least float32: the sum would round to 0 what is far below 0."""
    states = states.to(torch.promote_types(states.dtype, torch.float32))
    return states.relu() + states.clamp(max=0.0).exp()


def _sum(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: AttentionMask,
    before: Tensor | None,
    *,
    own: bool,
) -> tuple[Tensor, Tensor]:
    """Sums (query . key) value over the keys that each query sees, in time linear in their number.

    Args:
        query: (batch, heads, query, head_dim)
        key: (batch, heads, key, head_dim), zeros where there is padding
        value: (batch, heads, key, width)
        mask: who may look at whom
        before: (batch, heads, head_dim, width), the sum of key value^T over earlier keys, those of the last document
        own: whether the keys are of the sequence of the queries

    Returns:
        The sums, (batch, heads, query, width), and the sum for the keys that come next.
    """
    if before is None:
        before = key.new_zeros(*key.shape[:2], key.shape[3], value.shape[3])
    documents = mask.query_documents
    if not mask.is_causal and (documents is None or not own):
        after = before + key.mT @ value
        if documents is None or mask.key_documents is None:
            return query @ after, after
        # Two packed sequences: no sum suits all queries, so that they meet one by one, at each step anew.
        same = documents[:, None, :, None] == mask.key_documents[:, None, None, :]
        return (query @ key.mT).masked_fill(~same, 0.0) @ value, before
    index = torch.arange(mask.query_start, mask.query_start + key.shape[2], device=key.device)
    if documents is None:
        documents = torch.zeros_like(index)[None]
    elif mask.key_documents is not None and mask.query_start > 0:
        other = documents[:, 0] != mask.key_documents[:, mask.query_start - 1]
        before = before.masked_fill(other[:, None, None, None], 0.0)
    seen, after = _sum_behind(query, key, value, documents, before, itself=True)
    if mask.is_causal and mask.prefix_lengths is None:
        return seen, after
    if mask.is_causal and mask.prefix_lengths is not None:
        key = key.masked_fill((index >= mask.prefix_lengths.view(-1, 1, 1))[..., None], 0.0)
    query, key, value = query.flip(2), key.flip(2), value.flip(2)
    nothing = torch.zeros_like(before)
    ahead, _ = _sum_behind(query, key, value, documents.flip(1), nothing, itself=False)
    return seen + ahead.flip(2), after


def _sum_behind(
    query: Tensor, key: Tensor, value: Tensor, documents: Tensor, before: Tensor, *, itself: bool
) -> tuple[Tensor, Tensor]:
    """As `_sum`, over the keys up to each query in its document, or up to the one before itself."""
    length = query.shape[2]
    # An exported graph has no loop, and so one chunk, whatever the length.
    size = length if torch.compiler.is_exporting() else min(CHUNK, length)
    query, key, value = _chunks(query, size), _chunks(key, size), _chunks(value, size)
    rest = documents[:, -1:].expand(
        -1, -length % size
    )  # what fills the last chunk is of no new document
    documents = torch.cat((documents, rest), dim=1)
    document = _chunks(documents[:, None, :, None], size)[..., 0]  # (batch, 1, chunks, size)
    last = torch.cat((document[..., :1, 0], document[..., -1]), dim=2)  # (batch, 1, 1 + chunks)

    below = torch.ones(size, size, dtype=torch.bool, device=key.device).tril(0 if itself else -1)
    met = below & (document[..., :, None] == document[..., None, :])
    near = (query @ key.mT).masked_fill(~met, 0.0) @ value

    # A document is one run of tokens: the last of a chunk alone can go on in the next.
    going_on = key.masked_fill((document != last[..., 1:, None])[..., None], 0.0)
    sums = torch.cat((before[:, :, None], going_on.mT @ value), dim=2)
    sums = _running(sums, last)  # (batch, heads, 1 + chunks, head_dim, width)
    other = (document != last[..., :-1, None])[..., None]
    far = (query @ sums[:, :, :-1]).masked_fill(other, 0.0)
    after = sums[:, :, -1].clone()  # a cache that held a view would hold all of it
    return (near + far).flatten(2, 3)[:, :, :length], after


def _running(sums: Tensor, documents: Tensor) -> Tensor:
    """Adds to each sum all those before it of its document.

    It adds the neighbour, then that two away, then four. `cumsum` would need a difference to forget a document,
    which loses precision, and on a GPU its bits are not the same each time.
    """
    step = 1
    while step < sums.shape[2]:
        border = documents != documents.roll(step, dims=2)
        earlier = F.pad(
            sums, (0, 0, 0, 0, step, -step)
        )  # each stands `step` later, with zeros before
        sums = sums + earlier.masked_fill(border[..., None, None], 0.0)
        step *= 2
    return sums


def _chunks(states: Tensor, size: int) -> Tensor:
    """From (batch, heads, seq, width) to (batch, heads, chunks, size, width), with zeros at the end."""
    if missing := -states.shape[2] % size:
        states = F.pad(states, (0, 0, 0, missing))
    return states.reshape(*states.shape[:2], -1, size, states.shape[3])


def _without_autocast(device: torch.device) -> AbstractContextManager[None]:
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
