"""What a model needs to know of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


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
        second_ids: ids that open the second text of a pair, where the tokenizer has such (RoBERTa)
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
    second_ids: tuple[int, ...] = ()
    stop_ids: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    pads: bool = True
    labels: tuple[str, ...] = ()
    word_starts: tuple[bool, ...] = field(default=(), repr=False, compare=False)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids that are not text."""
        ids = (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id, self.eos_id)
        more = (*self.second_ids, *self.stop_ids, *self.prompt_ids)
        return tuple(sorted({i for i in (*ids, *more) if i is not None}))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The ids after which nothing more is generated."""
        return self.stop_ids if self.eos_id is None else (self.eos_id, *self.stop_ids)

    def around(self, texts: int) -> int:
        """Returns how many ids stand before, between and after so many texts in a row."""
        ends = (self.cls_id is not None) + (self.sep_id is not None) * texts
        return ends + len(self.second_ids) * (texts - 1)

    def framed(self, ids: Sequence[int], longest: int | None = None) -> list[int]:
        """Returns a text as a row: between what opens a row and what ends one, where there is such a token.

        Args:
            ids: of the text
            longest: length of the row at most; the end of the text is cut off
        """
        room = None if longest is None else longest - self.around(1)
        row = [i for i in (self.cls_id, *ids[:room], self.sep_id) if i is not None]
        return row or [self.pad_id]
