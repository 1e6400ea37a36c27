"""What is promised of the tokens that are hidden, of their labels, and of all the rest."""

from __future__ import annotations

from dataclasses import replace

import torch

from lightformer.errors import ConfigError
from lightformer.examples import IGNORED
from lightformer.testing.counting import none
from lightformer.testing.masking.trial import (
    EPOCH,
    ROWS,
    SEED,
    VOCABULARY,
    WIDTH,
    MaskingTrial,
    rows,
    rows_like,
    visited,
)
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst


@promise("masking")
def runs(trial: MaskingTrial) -> Figure:
    """Ids and labels come out, one of each for every token.

    Breach: __call__ must return the batch with input_ids and labels, both int64 of the shape of the input_ids that
    came in. There is no attention_mask where no row is padded.
    """
    for count, width in ((1, 1), (1, 9), (5, 2), (ROWS, WIDTH)):
        ids = torch.full((count, width), 55)
        bare, full = {"input_ids": ids}, {"input_ids": ids, "attention_mask": ids > 0}
        for batch in (bare, full):
            for name, tensor in zip(
                ("input_ids", "labels"), trial.masked(batch, visited(count)), strict=True
            ):
                if tensor.shape != ids.shape or tensor.dtype != torch.int64:
                    shape = tuple(tensor.shape)
                    return truth(False, f"{name} {tensor.dtype} {shape}, not int64 {count, width}")
    return truth(True, "4 shapes")


@promise("masking", needs=("runs",))
def intact(trial: MaskingTrial) -> Figure:
    """The batch that comes in stays as it was.

    Breach: it writes to input_ids in place. Copy them first; .numpy() and from_numpy() share memory.
    """
    batch = rows()
    before = rows_like(batch)
    trial.part()(batch, visited(), EPOCH)
    if batch.keys() != before.keys():
        return truth(False, f"keys {', '.join(batch)}")
    return worst({key: none(batch[key] != before[key], "changed") for key in before})


@promise("masking", needs=("runs",))
def keys(trial: MaskingTrial) -> Figure:
    """All else that a batch holds comes out as it came in.

    Breach: it returns a new batch, and leaves out token_type_ids or the labels of another objective. Return
    `{**batch, "input_ids": ..., "labels": ...}`.
    """
    batch = rows()
    found = trial.part()(dict(batch), visited(), EPOCH)
    for key in batch.keys() - {"input_ids"}:
        if key not in found or not torch.equal(found[key], batch[key]):
            return truth(False, f"{key} {'differs' if key in found else 'is not there'}")
    return truth(True, ", ".join(sorted(batch.keys() - {"input_ids"})))


@promise("masking", needs=("runs",))
def labels(trial: MaskingTrial) -> Figure:
    """A label is the token that was there; all else stays.

    Breach: labels are taken after the ids were changed, or lie elsewhere than the hidden tokens; where nothing is
    asked a label is -100 (IGNORED), and the token stays.
    """
    batch = rows()
    ids, found = trial.masked(batch, visited())
    asked, before = found != IGNORED, batch["input_ids"]
    return worst(
        {
            "labels": none(asked & (found != before), "wrong"),
            "where nothing is asked": none(~asked & (ids != before), "changed"),
        }
    )


@promise("masking", needs=("labels",))
def text(trial: MaskingTrial) -> Figure:
    """Special tokens and padding are never hidden nor asked for.

    Breach: vocabulary.special_ids or attention_mask is not asked, or special ids are taken to be the first ones.
    A row may have no text at all.
    """
    figures = {}
    for name, batch in {"rows": rows(), "rows without text": rows()}.items():
        if name != "rows":
            special = torch.tensor(VOCABULARY.special_ids)
            batch["input_ids"] = special[torch.arange(WIDTH) % len(special)].repeat(ROWS, 1)
        hidden_by_mask = ~batch["attention_mask"]
        batch["input_ids"][::2][hidden_by_mask[::2]] = 56  # what the mask alone says is no text
        before = batch["input_ids"]
        no_text = hidden_by_mask | torch.isin(before, torch.tensor(VOCABULARY.special_ids))
        ids, found = trial.masked(batch, visited())
        touched = (found != IGNORED) | (ids != before)
        for kind, where in {"padding": hidden_by_mask, "special": no_text}.items():
            figures[f"{kind}, {name}"] = none(touched[where], "touched")
    return worst(figures)


@promise("masking", needs=("labels",))
def hides(trial: MaskingTrial) -> Figure:
    """Tokens are asked for, and hidden from the model.

    Breach: nothing is asked, so that there is nothing to learn; or input_ids go on as they came, and a model has
    only to copy.
    """
    batch = rows()
    ids, found = trial.masked(batch, visited())
    asked = int((found != IGNORED).sum())
    hidden = int((ids != batch["input_ids"]).sum())
    return truth(hidden > 0, f"{hidden} of {asked} hidden")


@promise("masking", needs=("labels",))
def vocabulary(trial: MaskingTrial) -> Figure:
    """What stands for a hidden token is in the vocabulary.

    Breach: a random token is drawn up to vocabulary.size and not below it, or a made-up id marks the place.
    """
    drawn = [trial.masked(rows(), visited(), epoch)[0] for epoch in (0, 1, 2, 3, 4)]
    ids = torch.stack(drawn)
    return none((ids < 0) | (ids >= VOCABULARY.size), "ids outside")


@promise("masking", needs=("labels", "text"))
def share(trial: MaskingTrial) -> Figure:
    """The share of text asked for is as `probability` says.

    Breach: special tokens or padding are counted as text, a token is drawn more than once, or what stays readable
    is not asked for.
    """
    told = trial.spec.options().get("probability")
    if not isinstance(told, (int, float)):
        raise DoesNotApply("it has no option probability")
    batch, asked, tokens = rows(31, 211), 0, 0
    is_text = ~torch.isin(batch["input_ids"], torch.tensor(VOCABULARY.special_ids))
    batch["attention_mask"][:, 151:] = False  # where ids alone do not say that it is padding
    is_text &= batch["attention_mask"]
    long = is_text.sum(dim=1) > 99  # so that a rule for rows without a hidden token does not count
    for epoch in range(200):
        _, found = trial.masked(batch, visited(31), epoch)
        asked += int((found[long] != IGNORED).sum())
        tokens += int(is_text[long].sum())
    # Tokens that are hidden together vary more than those drawn one by one.
    bound = 0.05 * told + 8 * (told * (1 - told) / tokens) ** 0.5
    gap = abs(asked / tokens - told)
    return Figure(gap / bound, f"{asked / tokens:.3f} ({told} ± {bound:.3f})")


@promise("masking", needs=("runs",))
def refuses(trial: MaskingTrial) -> Figure:
    """Without [MASK] in the vocabulary it works, or says why not.

    Breach: vocabulary.mask_id is None for some tokenizers. Raise a ConfigError in __init__, with a sentence that says
    what is lacking.
    """
    bare = replace(VOCABULARY, mask_id=None)
    try:
        part = trial.spec(bare, SEED)
    except ConfigError as error:
        return truth(bool(str(error)), "refused by a sentence")
    ids = part(rows(), visited(), EPOCH)["input_ids"]
    return truth(bool((ids < bare.size).all()), "works")
