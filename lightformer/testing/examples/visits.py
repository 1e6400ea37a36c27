"""What is promised of visits: a sample is a pure function of seed, epoch and number."""

from __future__ import annotations

import pickle

import numpy as np
import torch

from lightformer.examples import Batch, Corpus
from lightformer.testing.counting import none
from lightformer.testing.examples.trial import EPOCH, SEED, ExamplesTrial, tokens_of, whole
from lightformer.testing.promise import DoesNotApply, Figure, promise, truth, worst


def same(one: Batch, other: Batch) -> Figure:
    """Whether two batches agree in all that they hold."""
    if one.keys() != other.keys():
        return truth(False, f"keys {', '.join(one)}, then {', '.join(other)}")
    for key, value in one.items():
        if not torch.equal(value, other[key]):
            return truth(False, f"{key} not the same")
    return truth(True, f"{len(one['input_ids'])} samples")


def row(batch: Batch, number: int) -> dict[str, list[int]]:
    """Returns what a batch has for one sample, without padding."""
    own = tokens_of(batch)[number]
    found = {key: value[number] for key, value in batch.items() if key != "attention_mask"}
    return {k: (v[own] if v.shape == own.shape else v.flatten()).tolist() for k, v in found.items()}


@promise("examples", needs=("keys",))
def steady(trial: ExamplesTrial) -> Figure:
    """The same visit gives the same, whatever came before.

    Breach: a generator draws, so that a run that is resumed goes on with others. Draw with lightformer.draws, by seed,
    epoch and number of the sample.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus)
        first = whole(part)
        whole(part, EPOCH + 1)
        again, new = whole(part), whole(trial.part(corpus))
        return worst({"after another epoch": same(first, again), "a new one": same(first, new)})

    return trial.each(measure)


@promise("examples", needs=("steady", "padding", "next tokens"))
def alone(trial: ExamplesTrial) -> Figure:
    """A batch gives what its samples give alone.

    Breach: what is drawn or cut depends on the place in the batch, or on the longest sample in it.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus)
        batch = whole(part)
        few = np.linspace(len(part) - 1, 0, num=min(len(part), 17)).astype(np.int64)
        some = part.batch(few, EPOCH)
        for number, index in enumerate(few.tolist()):
            single = part.batch(np.array([index]), EPOCH)
            for other, at in ((some, number), (single, 0)):
                if row(other, at) != row(batch, index):
                    return truth(False, f"sample {index} is not the same")
        return truth(True, f"{len(few)} samples")

    return trial.each(measure)


@promise("examples", needs=("steady", "padding"))
def lengths(trial: ExamplesTrial) -> Figure:
    """No sample has more tokens than lengths() says, and lengths() says it for any numbers, in any order.

    Breach: it forgets [CLS] and [SEP], or gives the lengths of all samples, or of the first ones. Batches that are
    made by length would not fit into memory.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus)
        numbers = np.append(np.arange(len(part))[::-1], [0, 0])
        found = part.lengths(numbers, EPOCH)
        real = tokens_of(part.batch(numbers, EPOCH)).sum(dim=1)
        if found.shape != numbers.shape:
            return truth(False, f"{found.shape} lengths, not {numbers.shape}")
        return none(torch.from_numpy(found) < real, "too short")

    return trial.each(measure)


@promise("examples", needs=("steady",))
def evaluation(trial: ExamplesTrial) -> Figure:
    """In evaluation all epochs are the same.

    Breach: self.training is not asked before something is drawn by the epoch; then two validations measure on different
    samples.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus, training=False)
        return worst({f"epoch {e}": same(whole(part, 0), whole(part, e)) for e in (1, 2, 7)})

    return trial.each(measure)


@promise("examples", needs=("steady",))
def seed(trial: ExamplesTrial) -> Figure:
    """What differs from epoch to epoch differs by the seed too.

    Breach: the seed is not among what a draw depends on, so that runs with other seeds see the same.
    """

    def measure(corpus: Corpus) -> Figure:
        part, other = trial.part(corpus), trial.part(corpus, seed=SEED + 1)
        if all(same(whole(part, 0), whole(part, e)).held for e in range(1, 6)):
            raise DoesNotApply("it draws nothing")
        different = sum(not same(whole(part, e), whole(other, e)).held for e in range(6))
        return truth(different > 0, f"{different} of 6 epochs differ")

    return trial.each(measure)


@promise("examples", needs=("steady",))
def travels(trial: ExamplesTrial) -> Figure:
    """A worker process can be given it, and makes the same there.

    Breach: it holds what cannot be pickled, such as a lambda, a generator or an open file.
    """

    def measure(corpus: Corpus) -> Figure:
        part = trial.part(corpus)
        return same(whole(pickle.loads(pickle.dumps(part))), whole(part))

    return trial.each(measure)
