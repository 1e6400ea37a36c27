"""A model to start from: what a new one takes over of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import tokenizers
from torch import nn

from lightformer.backbone_config import BackboneConfig
from lightformer.checkpoint import own_entry, read_checkpoint
from lightformer.errors import CheckpointError
from lightformer.merging import merged
from lightformer.plain import from_plain, to_plain
from lightformer.vocabulary import Vocabulary

FREE = ("dropout", "init", "is_causal", "max_seq_len")
"""Settings of a backbone on which no weight depends."""

TOLD = ("hidden_size", "num_layers", "max_seq_len", "dropout")
"""Settings that a run says it has."""


class Pretrained:
    """A checkpoint of any task, from which another model starts.

    Args:
        path: the checkpoint, or a folder of transformers

    Raises:
        CheckpointError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        read = read_checkpoint(path)
        self._own = own_entry(path, read)
        self._checkpoint = {k: read[k] for k in ("state_dict", "hyper_parameters", "lightformer")}
        self.tokenizer: str | None = self._own.get("tokenizer")
        options = self._checkpoint["hyper_parameters"]
        self.known: Vocabulary = from_plain(Vocabulary, options["vocabulary"], "vocabulary")
        self.config: BackboneConfig = from_plain(BackboneConfig, options["backbone"], "backbone")
        self.origin: Mapping[str, Any] | None = self._own.get("origin")

    def backbone(self, given: BackboneConfig | Mapping[str, Any]) -> BackboneConfig:
        """Returns the backbone to start with; whether it is causal stays open, unless that is given.

        Args:
            given: what the user asks for: all of it counts

        Raises:
            CheckpointError: the user asked for another architecture.
        """
        if not isinstance(given, Mapping):
            given = from_plain(BackboneConfig, given, "backbone")
        own = {**to_plain(self.config), "is_causal": None}
        wanted: BackboneConfig = from_plain(BackboneConfig, {**own, **to_plain(given)}, "backbone")
        for field in fields(BackboneConfig):
            new, old = getattr(wanted, field.name), getattr(self.config, field.name)
            if field.name not in FREE and new != old:
                raise CheckpointError(
                    f"The backbone of {self.path} has {field.name} {old}, but the config asks for {new}; "
                    f"leave {field.name} out, or train from scratch without init_from."
                )
        return wanted

    def vocabulary(self, given: Vocabulary) -> Vocabulary:
        """Returns the vocabulary of the data with what the model knows besides.

        That is how text begins and ends in what it generates, and ids that its tokenizer leaves to spare.
        """
        found = replace(given, stop_ids=self.known.stop_ids, prompt_ids=self.known.prompt_ids)
        if self.tokenizer is None or self.known.size <= given.size:
            return found
        used = max(tokenizers.Tokenizer.from_str(self.tokenizer).get_vocab().values()) + 1
        return replace(found, size=self.known.size) if used == given.size else found

    def take_over(self, model: nn.Module, vocabulary: Vocabulary) -> list[str]:
        """Copies the backbone into a model, and heads of the same name and shape.

        Returns:
            What was copied, what the checkpoint has besides, what starts anew, and how large it is, each in one line.

        Raises:
            CheckpointError: the two do not speak of the same tokens.
        """
        self._check_tokens(vocabulary)
        state, here = merged(self._checkpoint)["state_dict"], model.state_dict()
        same_labels = self.known.labels == vocabulary.labels  # else a class has another meaning
        fits = {
            k: v
            for k, v in state.items()
            if k in here
            and here[k].shape == v.shape
            and (same_labels or not k.startswith("classifier"))
        }
        lacking = [k for k in here if k.startswith("backbone.") and k not in fits]
        if lacking:
            raise CheckpointError(
                f"The backbone of {self.path} does not fit: {lacking[0]} and {len(lacking) - 1} more are not in it."
            )
        model.load_state_dict(fits, strict=False)
        backbone: Any = model.backbone
        config = backbone.config
        sees = "only what stands before it" if backbone.is_causal else "both sides"
        heads = [k for k in fits if not k.startswith("backbone.")]
        return [
            f"taken over from {self.path} ({self._own['task']}): the backbone"
            + (f", {', '.join(heads)}" if heads else ""),
            f"left over there: {', '.join(k for k in state if k not in fits) or 'nothing'}",
            f"starting anew: {', '.join(k for k in here if k not in fits) or 'nothing'}",
            f"the backbone: {', '.join(f'{name} {getattr(config, name)}' for name in TOLD)}; a position sees {sees}",
        ]

    def _check_tokens(self, vocabulary: Vocabulary) -> None:
        theirs, path = self.known, self.path
        way_out = "use its tokenizer: set data.tokenizer.file to the tokenizer.json beside the checkpoint."
        if theirs.size != vocabulary.size:
            raise CheckpointError(
                f"{path} has a vocabulary of {theirs.size} tokens, but the data has one of {vocabulary.size}; {way_out}"
            )
        if self.tokenizer and theirs.special_ids != vocabulary.special_ids:
            raise CheckpointError(
                f"{path} has its special tokens at {theirs.special_ids}, but the data at {vocabulary.special_ids}; "
                f"{way_out}"
            )


_ahead: dict[str, Pretrained] = {}
"""Models that a command has read, for the tasks that will start from them."""


def read_ahead(path: str) -> Pretrained:
    """Returns a model that a task will start from, which is then read already.

    Raises:
        CheckpointError: it cannot be read.
    """
    if path not in _ahead:
        _ahead[path] = Pretrained(path)
    return _ahead[path]


def start_from(path: str) -> Pretrained:
    """Returns the model that a task starts from.

    Raises:
        ConfigError: it is not named by a path.
        CheckpointError: it cannot be read.
    """
    path = from_plain(str, path, "init_from")
    return _ahead.pop(path, None) or Pretrained(path)


@contextmanager
def reading_ahead() -> Iterator[None]:
    """Lets go at its end of what was read ahead, whether a task has started from it or not."""
    try:
        yield
    finally:
        _ahead.clear()
