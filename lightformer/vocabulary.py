"""What a model needs to know of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that go into a model, and the labels that come out of a classifier.

    Args:
        size: number of token ids
        pad_id: id that fills rows up; its positions are never attended to
        unk_id: id of what the tokenizer does not know
        cls_id: id that opens a row, where the tokenizer has one
        sep_id: id that ends a segment, where the tokenizer has one
        mask_id: id that hides a token, where the tokenizer has one
        eos_id: id that ends a document, where the tokenizer has one
        pair_ids: ids before, between and after the two texts of a pair, where they are others than cls_id, sep_id and
            sep_id, such as RoBERTa's
        stop_ids: further ids that end what a model generates, where it was trained with several
        prompt_ids: ids that stand in front of each prompt, where a model was trained so
        pads: whether that of pad_id is a token for padding; else it is a word, which a mask alone tells from padding
        labels: name of each class, in the order of their numbers
        word_starts: of each id, whether it begins a word; empty where the tokenizer does not tell. Only a masking asks
            for it, and no model keeps it
    """

    size: int
    pad_id: int = 0
    unk_id: int | None = None
    cls_id: int | None = None
    sep_id: int | None = None
    mask_id: int | None = None
    eos_id: int | None = None
    pair_ids: tuple[tuple[int, ...], ...] = ()
    stop_ids: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    pads: bool = True
    labels: tuple[str, ...] = ()
    word_starts: tuple[bool, ...] = field(default=(), repr=False, compare=False)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids that are not text."""
        ids = (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id, self.eos_id)
        more = (*chain(*self.pair_ids), *self.stop_ids, *self.prompt_ids)
        return tuple(sorted({i for i in (*ids, *more) if i is not None}))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The ids after which nothing more is generated."""
        return self.stop_ids if self.eos_id is None else (self.eos_id, *self.stop_ids)

    def frame(self, texts: int) -> tuple[tuple[int, ...], ...]:
        """Returns the ids before a text, and those after it; of a pair, those before, between and after its texts."""
        if texts == 2 and self.pair_ids:
            return self.pair_ids
        before, after = (() if end is None else (end,) for end in (self.cls_id, self.sep_id))
        return (before, *[after] * texts)

    def framed(self, ids: Sequence[int], longest: int | None = None) -> list[int]:
        """Returns a text as a row: between what opens a row and what ends one, where there is such a token.

        Args:
            ids: of the text
            longest: length of the row at most; the end of the text is cut off
        """
        before, after = self.frame(1)
        room = None if longest is None else longest - len(before) - len(after)
        return [*before, *ids[:room], *after] or [self.pad_id]
