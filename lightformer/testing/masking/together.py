"""What is promised of tokens that stand together: words are whole, and borders part what they divide."""

from __future__ import annotations

import torch
from torch import Tensor

from lightformer.examples import IGNORED, Batch
from lightformer.testing.counting import none
from lightformer.testing.masking.trial import VOCABULARY, MaskingTrial, rows, visited
from lightformer.testing.promise import DoesNotApply, Figure, promise, worst

_COUNT, _WIDTH, _EPOCHS = 47, 61, 40


@promise("masking", needs=("labels", "text"))
def words(trial: MaskingTrial) -> Figure:
    """Of a word all is asked for, or nothing, where words have to be known.

    Breach: a part that refuses a vocabulary without word_starts keeps words whole. A word goes on up to the next id
    that begins one, or to a special token, to padding, or to the next document or segment.
    """
    if not trial.needs_words:
        raise DoesNotApply("it works without knowing words")
    figures = {}
    for name, batch in {"two segments": rows(), "two documents": _divided("document_ids")}.items():
        number = _words(batch)
        for epoch in (0, 1, 2):
            asked = trial.masked(batch, visited(len(number)), epoch)[1] != IGNORED
            spared = ~asked & (number >= 0)
            split = torch.isin(number, number[spared]) & asked
            figures[f"{name}, visit {epoch}"] = none(split, "of split words")
    return worst(figures)


@promise("masking", needs=("labels", "text"))
def borders(trial: MaskingTrial) -> Figure:
    """What is hidden on one side of a border says nothing of the other side.

    Breach: a span or a word goes on into the next document, or the next segment. Ask `document_ids` and
    `token_type_ids` of a batch, where it has them, and not the special tokens alone.
    """
    figures = {}
    for key in ("document_ids", "token_type_ids"):
        batch = _divided(key)
        border = int((batch[key][0] == 0).sum())
        asked = torch.stack(
            [trial.masked(batch, visited(_COUNT), epoch)[1] != IGNORED for epoch in range(_EPOCHS)]
        ).double()
        sides = asked[..., border - 1 : border + 1].flatten(0, 1)
        if (sides.std(dim=0) == 0).any():
            raise DoesNotApply("it hides always the same there")
        together = float(torch.corrcoef(sides.T)[0, 1])
        figures[key] = Figure(abs(together) / 0.2, f"correlation {together:.2f} (at most 0.2)")
    return worst(figures)


def _divided(key: str) -> Batch:
    """Rows of text alone, of which `key` says where the second part begins; it begins in the midst of words."""
    ids = torch.randint(0, VOCABULARY.size, (_COUNT, _WIDTH))
    ids[torch.isin(ids, torch.tensor(VOCABULARY.special_ids))] = 55
    border = _WIDTH // 2
    ids[:, border - 1 : border + 1] = torch.tensor([55, 54])  # begins a word; goes on with one
    return {"input_ids": ids, key: (torch.arange(_WIDTH) >= border).long().repeat(_COUNT, 1)}


def _words(batch: Batch) -> Tensor:
    """Returns the number of the word of each token, -1 where there is none; found token by token."""
    special, number, found = set(VOCABULARY.special_ids), -1, []
    owners = [batch[key] for key in ("document_ids", "token_type_ids") if key in batch]
    for row, ids in enumerate(batch["input_ids"].tolist()):
        before = None
        for column, token in enumerate(ids):
            owner = tuple(int(key[row, column]) for key in owners)
            if token in special:
                before = None
                found.append(-1)
                continue
            number += VOCABULARY.word_starts[token] or owner != before
            before = owner
            found.append(number)
    return torch.tensor(found).view_as(batch["input_ids"])
