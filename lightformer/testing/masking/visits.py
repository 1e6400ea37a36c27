"""What is promised of visits: what is hidden is a pure function of seed, epoch, sample and place."""

from __future__ import annotations

import pickle

import torch

from lightformer.testing.masking.trial import (
    EPOCH,
    ROWS,
    SEED,
    WIDTH,
    MaskingTrial,
    equal,
    rows,
    rows_like,
    visited,
)
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst


@promise("masking", needs=("runs",))
def steady(trial: MaskingTrial) -> Figure:
    """The same visit hides the same, whatever came before.

    Breach: a generator draws, so that a run that is resumed goes on with others. Draw with lightformer.draws, by seed,
    epoch, number of the sample and place.
    """
    batch, part = rows(), trial.part()
    first = trial.masked(batch, visited())
    part(rows(), visited() + 1, EPOCH)
    again = part(rows_like(batch), visited(), EPOCH)
    return worst(
        {
            "after another batch": equal((again["input_ids"], again["labels"]), first),
            "a new one": equal(trial.masked(batch, visited()), first),
        }
    )


@promise("masking", needs=("steady",))
def alone(trial: MaskingTrial) -> Figure:
    """A batch gives what its rows give alone, without padding.

    Breach: what is drawn depends on the place of a row in its batch, or on the width to which the batch is padded.
    Draw by the number of the sample and the place in the row.
    """
    batch, indices = rows(), visited()
    ids, labels = trial.masked(batch, indices)
    is_token, figures = batch["attention_mask"], {}
    for row in range(0, ROWS, 3):
        length = int(is_token[row].sum())
        own = {k: v[row : row + 1, :length] for k, v in batch.items() if v.ndim == 2}
        del own["attention_mask"]
        found = trial.masked(own, indices[row : row + 1])
        expected = (ids[row : row + 1, :length], labels[row : row + 1, :length])
        figures[f"row {row}"] = equal(found, expected)
    order = torch.arange(ROWS).flip(0)
    turned = trial.masked({k: v[order] for k, v in batch.items()}, indices[order.numpy()])
    figures["in another order"] = equal(turned, (ids[order], labels[order]))
    figure = worst(figures)
    return figure if not figure.held else truth(True, f"{len(figures) - 1} rows, another order")


@promise("masking", needs=("steady", "alone"))
def anew(trial: MaskingTrial) -> Figure:
    """Another visit, another sample and another seed hide others.

    Breach: one of epoch, number of the sample and seed is not among what a draw depends on.
    """
    batch = {"input_ids": torch.full((ROWS, WIDTH), 55)}
    plain = trial.masked(batch, visited())
    others = {
        "another epoch": trial.masked(batch, visited(), EPOCH + 1),
        "another sample": trial.masked(batch, visited() + 100),
        "another seed": trial.masked(batch, visited(), seed=SEED + 1),
    }
    same = [name for name, other in others.items() if equal(other, plain).held]
    if len(same) == len(others):
        raise DoesNotApply("it draws nothing")
    return truth(not same, "all differ" if not same else f"the same for {' and '.join(same)}")


@promise("masking", needs=("steady",))
def travels(trial: MaskingTrial) -> Figure:
    """A worker process can be given it, and hides the same there.

    Breach: it holds what cannot be pickled, such as a lambda, a generator or an open file.
    """
    batch = rows()
    found = pickle.loads(pickle.dumps(trial.part()))(rows_like(batch), visited(), EPOCH)
    return equal((found["input_ids"], found["labels"]), trial.masked(batch, visited()))
