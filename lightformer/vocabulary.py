"""What a model needs to know of its data."""

from __future__ import annotations

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
    labels: tuple[str, ...] = ()
    word_starts: tuple[bool, ...] = field(default=(), repr=False, compare=False)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids that are not text."""
        ids = (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id, self.eos_id)
        return tuple(sorted({i for i in ids if i is not None}))
