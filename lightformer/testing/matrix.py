"""Every attention with every position and wiring, in every role: what works, and what is refused, and why.

A cell is tried and not asked: a model is made, its promises are measured, and it learns a small task. What cannot
work must be refused by a sentence; a cell that does neither is a lie, and is called broken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightformer import init
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.errors import ConfigError
from lightformer.position import NoPosition
from lightformer.registry import Spec
from lightformer.testing.forms import Form, label, spec_of
from lightformer.testing.pool import in_processes
from lightformer.testing.promise import Figure, change, difference, worst
from lightformer.testing.sizes import Sizes, around, stir

WORKS, REFUSED, BROKEN = "works", "refused", "broken"
ROLES, ROWS, USES = ("encoder", "decoder", "cross"), ("padded", "packed"), ("train", "generate")
SIZES = Sizes(num_heads=4, head_dim=6, hidden_size=14, num_layers=1)
STEPS, LEARNT = 100, 0.4
"""So many optimizer steps, or fewer, bring the loss of the small task below this share of its first value."""


@dataclass(frozen=True)
class Cell:
    """One combination, and what came of it.

    Args:
        attention: name and options
        position: name and options
        block: name and options
        role: encoder, decoder, or cross: a decoder that reads another sequence
        rows: padded or packed
        use: train or generate
        outcome: works, refused or broken
        why: the sentence of a refusal, or the figure of what is broken
    """

    attention: str
    position: str
    block: str
    role: str
    rows: str
    use: str
    outcome: str
    why: str = ""


def matrix(
    attentions: list[Form],
    positions: list[Form],
    blocks: list[Form],
    *,
    processes: int = 1,
    plugins: Iterable[str] = (),
    folder: str | None = None,
) -> Iterator[Cell]:
    """Tries every combination.

    Args:
        attentions: rows of the matrix
        positions: columns
        blocks: wirings, each a sheet
        processes: how many combinations are tried at a time
        plugins: modules and files that a process must load, see `load_plugins`
        folder: folder of local plugins that it must load
    """
    combinations = list(itertools.product(attentions, positions, blocks, ROLES))
    for cells in in_processes(
        _try_one, combinations, processes=processes, plugins=plugins, folder=folder
    ):
        yield from cells


def _try_one(combination: tuple[Form, Form, Form, str]) -> list[Cell]:
    return list(try_out(*combination))


def try_out(attention: Form, position: Form, block: Form, role: str) -> Iterator[Cell]:
    """Tries one combination in one role: each kind of rows, in training and in generation."""
    where = (label(attention), label(position), label(block), role)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        try:
            trial = _Trial(
                spec_of("attention", attention),
                spec_of("position", position),
                spec_of("block", block),
                role,
            )
        except ConfigError as refusal:
            for rows, use in itertools.product(ROWS, USES):
                yield Cell(*where, rows, use, REFUSED, str(refusal))
            return
        for rows, use in itertools.product(ROWS, USES):
            outcome, why = trial.outcome(rows, use)
            yield Cell(*where, rows, use, outcome, why)


class _Trial:
    """A small model of one combination, and its measurements."""

    def __init__(self, attention: Spec, position: Spec, block: Spec, role: str) -> None:
        sizes: dict[str, Any] = {k: v for k, v in vars(SIZES).items() if k != "vocab_size"}
        parts: dict[str, Any] = {"attention": attention, "position": position, "block": block}
        parts["init"] = init.normal(
            std=0.3
        )  # a model as narrow as this learns soon from weights as wide
        self.crosses, self.is_causal = role == "cross", role != "encoder"
        self.model = Backbone(
            BackboneConfig(**sizes, **parts),
            SIZES.vocab_size,
            is_causal=self.is_causal,
            has_memory=self.crosses,
        )
        self.start = {k: v.clone() for k, v in self.model.state_dict().items()}
        stir(self.model.double())

    def outcome(self, rows: str, use: str) -> tuple[str, str]:
        """What came of one kind of rows in one use, and why."""
        measure = getattr(self, f"{use}_{rows}")
        if use == "generate":  # which takes a model and a cache, made before a token is read
            try:
                self.model.new_cache()
            except ConfigError as refusal:
                return REFUSED, str(refusal)
        try:
            figures = {}
            for mode in ("train()", "eval()"):
                self.model.train(mode == "train()")
                figures[mode] = measure()
            if use == "train":
                figures["learns"] = self.learns(is_packed=rows == "packed")
        except ConfigError as refusal:
            return BROKEN, f"refused too late, when it runs: {refusal}"
        except Exception as error:  # whatever it is, the cell neither works nor is refused
            return BROKEN, f"{type(error).__name__}: {' '.join(str(error).split())}"
        figure = worst(figures)
        return (WORKS, "") if figure.held else (BROKEN, f"{figure.where}: {figure.text}")

    def train_padded(self) -> Figure:
        ids = SIZES.tokens(2, 7)
        expected, figures = self.model(ids, **self.memory(2)), dict[str, Figure]()
        spread = torch.arange(0, 21, 3)[None]  # so far that buckets of distances differ
        apart = self.model(ids, position_ids=spread, **self.memory(2))
        acts = not isinstance(self.model.position, NoPosition)
        figures["positions"] = change(apart, expected) if acts else difference(apart, expected)
        if self.crosses:
            wide = self.memory(2, 9)["memory"]
            is_token = torch.arange(9)[None].expand(2, -1) < 5
            found = self.model(ids, memory=wide, memory_mask=is_token)
            figures["padding of memory"] = difference(found, self.model(ids, memory=wide[:, :5]))
        for name, left, right in (("padded right", 0, 3), ("padded left", 4, 0)):
            wide, is_token = around(ids, left, right, SIZES.vocab_size)
            found = self.model(wide, attention_mask=is_token, **self.memory(2))
            figures[name] = difference(found[:, left : left + 7], expected)
        if self.is_causal:
            other = torch.cat((ids[:, :4], (ids[:, 4:] + 1) % SIZES.vocab_size), dim=1)
            found = self.model(other, **self.memory(2))[:, :4]
            figures["blind to what is later"] = difference(found, expected[:, :4])
        return worst(figures)

    def train_packed(self) -> Figure:
        ids, documents = SIZES.tokens(1, 11), torch.tensor([[0] * 4 + [1] * 5 + [2] * 2])
        memory, places = self.memory(1, 9), torch.tensor([[0] * 3 + [1] * 2 + [2] * 4])
        given = {**memory, "memory_document_ids": places} if self.crosses else {}
        packed, figures = self.model(ids, document_ids=documents, **given), dict[str, Figure]()
        for number in range(3):
            own = documents[0] == number
            alone = {"memory": memory["memory"][:, places[0] == number]} if self.crosses else {}
            expected = self.model(ids[:, own], **alone)
            figures[f"document {number} apart"] = difference(packed[:, own], expected)
        return worst(figures)

    @torch.no_grad()
    def generate_padded(self) -> Figure:
        ids, is_token = SIZES.tokens(2, 9), torch.ones(2, 9, dtype=torch.bool)
        is_token[1, :2] = False
        expected = self.model(ids, attention_mask=is_token, **self.memory(2))
        found = self._step_by_step(ids, {"attention_mask": is_token}, self.memory(2))
        return worst({"cached": difference(found[is_token], expected[is_token])})

    @torch.no_grad()
    def generate_packed(self) -> Figure:
        ids, documents = SIZES.tokens(1, 9), torch.tensor([[0] * 3 + [1] * 2 + [2] * 4])
        given = self.memory(1)
        if self.crosses:
            given["memory_document_ids"] = torch.tensor([[0] * 2 + [1] + [2] * 2])
        expected = self.model(ids, document_ids=documents, **given)
        found = self._step_by_step(ids, {"document_ids": documents}, given)
        return worst({"cached": difference(found, expected)})

    def _step_by_step(
        self, ids: Tensor, of_tokens: dict[str, Tensor], more: dict[str, Tensor]
    ) -> Tensor:
        cache, found, start = self.model.new_cache(), list[Tensor](), 0
        for size in (4, 1, 1, 3):
            # Without a cache it reads all of the text again at each step.
            piece = slice(0 if cache is None else start, start + size)
            own = {name: value[:, piece] for name, value in of_tokens.items()}
            states = self.model(ids[:, piece], cache=cache, **own, **more)
            found.append(states[:, -size:])
            start += size
        return torch.cat(found, dim=1)

    def memory(self, batch: int, length: int = 5) -> dict[str, Tensor]:
        """The same other sequence at each call, where the model reads one."""
        if not self.crosses:
            return {}
        size = batch * length * SIZES.hidden_size
        numbers = torch.linspace(-3.0, 3.0, size, dtype=torch.float64).sin()
        return {"memory": numbers.view(batch, length, SIZES.hidden_size)}

    def learns(self, *, is_packed: bool) -> Figure:
        """A text's second token is to be labelled with its first, or with what the other sequence says."""
        self.model.float().load_state_dict(self.start)
        head = nn.Linear(SIZES.hidden_size, 5)
        stir(head)
        optimizer = torch.optim.Adam([*self.model.parameters(), *head.parameters()], lr=0.02)
        labels = torch.arange(5).repeat(2)  # of ten texts of four tokens
        ids = torch.full((10, 4), 7)
        ids[:, 0] = 7 if self.crosses else labels
        codes = F.one_hot(labels, SIZES.hidden_size).float()[:, None].expand(-1, 2, -1) * 3.0
        given: dict[str, Tensor] = {"memory": codes} if self.crosses else {}
        if is_packed:
            ids, owner = ids.view(2, 20), torch.arange(5).repeat(2, 1)
            given = {"document_ids": owner.repeat_interleave(4, dim=1)}
            if self.crosses:
                given["memory"] = codes.reshape(2, 10, -1)
                given["memory_document_ids"] = owner.repeat_interleave(2, dim=1)
        else:
            is_token = torch.ones(10, 4, dtype=torch.bool)
            is_token[::3, 3] = False
            given["attention_mask"] = is_token
        losses = []
        for _ in range(STEPS):
            states = self.model(ids, **given).reshape(10, 4, -1)[:, 1]
            loss = F.cross_entropy(head(states), labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
            if losses[-1] < LEARNT * losses[0]:
                break
        self.model.double()
        share = losses[-1] / losses[0]
        return Figure(share / LEARNT, f"loss {losses[0]:.2f} to {losses[-1]:.2f}")
