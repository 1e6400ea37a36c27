"""Stretches of text laid out in rows, all rows of a batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lightformer.errors import ConfigError
from lightformer.examples import IGNORED, Batch, Corpus, Indices, as_batch
from lightformer.vocabulary import Vocabulary


def room_for_text(seq_len: int, vocabulary: Vocabulary, *, framed: bool) -> int:
    """Returns how many tokens of text a row has room for, which may have to stand between [CLS] and [SEP].

    Raises:
        ConfigError: there is room for none, or the tokenizer lacks [CLS] or [SEP].
    """
    if framed and (vocabulary.cls_id is None or vocabulary.sep_id is None):
        raise ConfigError(
            "special_tokens needs a tokenizer with [CLS] and [SEP], but this one lacks them; "
            "set special_tokens: false."
        )
    if seq_len < 1 + 2 * framed:
        raise ConfigError(f"seq_len must be at least {1 + 2 * framed}, not {seq_len}.")
    return seq_len - 2 * framed


def ragged(counts: Indices) -> tuple[Indices, Indices]:
    """Returns, for the elements of groups of these sizes, the group of each and its number in there.

    Groups of 2, 0 and 3 give 0 0 2 2 2 and 0 1 0 1 2.
    """
    return np.repeat(np.arange(len(counts)), counts), runs(np.zeros_like(counts), counts)


def runs(starts: Indices, lengths: Indices) -> Indices:
    """Returns start, start + 1, ... for each run, one run after another."""
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


@dataclass(frozen=True)
class Stretches:
    """Runs of tokens, each of one document, in the order in which they stand in the rows of a batch.

    Args:
        rows: the row of each; never falling
        starts: where it starts in the tokens of the corpus
        lengths: its number of tokens
        ends: where the text of its document ends
    """

    rows: Indices
    starts: Indices
    lengths: Indices
    ends: Indices


def lay_out(
    corpus: Corpus,
    vocabulary: Vocabulary,
    stretches: Stretches,
    shape: tuple[int, int],
    *,
    framed: bool,
    packed: bool,
) -> Batch:
    """Returns rows of documents, padded, with the token after each position of the same document.

    Args:
        corpus: where the tokens are
        vocabulary: the special tokens
        stretches: what stands in the rows
        shape: number of rows and of columns
        framed: whether each stretch is put between [CLS] and [SEP]
        packed: whether rows hold several documents, so that `document_ids` and `position_ids` are told
    """
    sizes = stretches.lengths + 2 * framed
    before = np.cumsum(sizes) - sizes
    first = np.searchsorted(stretches.rows, stretches.rows)  # stretch that opens the row
    corners = stretches.rows * shape[1] + before - before[first]
    places = runs(corners, sizes)  # of each token in the flat batch

    tokens = corpus.tokens[runs(stretches.starts, stretches.lengths)].astype(np.int64)
    after = stretches.starts + stretches.lengths
    goes_on = (after < stretches.ends) & (not framed)
    if framed and vocabulary.cls_id is not None and vocabulary.sep_id is not None:
        inner = runs(before + 1, stretches.lengths)
        text, tokens = tokens, np.empty(sizes.sum(), dtype=np.int64)
        tokens[inner] = text
        tokens[before], tokens[before + sizes - 1] = vocabulary.cls_id, vocabulary.sep_id
    following = np.append(tokens[1:], IGNORED)
    last = corpus.tokens[np.where(goes_on, after, 0)].astype(np.int64)
    following[before + sizes - 1] = np.where(goes_on, last, IGNORED)

    def rows(values: npt.NDArray[Any] | int, fill: npt.NDArray[Any] | int) -> npt.NDArray[Any]:
        found = np.full(shape, fill, dtype=np.int64)
        found.ravel()[places] = values
        return found

    present = rows(1, 0).astype(np.bool_)
    others = {"next_token_labels": rows(following, IGNORED)}
    if packed:
        owners, positions = ragged(sizes)
        numbers = np.arange(len(sizes)) - first
        last_of_row = np.bincount(stretches.rows, minlength=shape[0])[:, None] - 1
        others["document_ids"] = rows(numbers[owners], last_of_row)  # padding counts to the last
        others["position_ids"] = rows(positions, 0)
    return as_batch(rows(tokens, vocabulary.pad_id), present, **others)


def frame(
    corpus: Corpus, vocabulary: Vocabulary, starts: list[Indices], lengths: list[Indices]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Lays segments out as `[CLS] A [SEP] B [SEP]`, a row each, padded to the longest.

    A tokenizer without [CLS] or [SEP] gets rows without, and one with another template for pairs, rows as that says.

    Args:
        corpus: where the tokens are
        vocabulary: the special tokens
        starts: for each segment, where it starts in the tokens of the corpus, a row each
        lengths: for each segment, its number of tokens, a row each

    Returns:
        The ids, which of them are no padding, and the segment of each; all (batch, seq).
    """
    around = vocabulary.frame(len(starts))
    total = sum(lengths) + sum(map(len, around))
    column = np.arange(np.max(total))[None]  # (1, seq)
    ids = np.full((len(starts[0]), column.size), vocabulary.pad_id, dtype=np.int64)
    segments = np.zeros_like(ids)
    rows = np.arange(len(ids))
    position = np.zeros_like(rows)  # of what is put next

    def put(tokens: tuple[int, ...]) -> None:
        nonlocal position
        for token in tokens:
            ids[rows, position] = token
            position = position + 1

    put(around[0])
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        opens = position
        ids.ravel()[runs(rows * column.size + opens, length)] = corpus.tokens[runs(start, length)]
        position = position + length
        put(around[number + 1])
        if number:
            segments[(column >= opens[:, None]) & (column < position[:, None])] = number
    return ids, column < np.asarray(total)[:, None], segments
