"""What a family of models is: the contract of the tables in `families`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lightformer.backbone_config import BackboneConfig
from lightformer.hf.names import Pair, pairs
from lightformer.hf.settings import Settings

Options = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """What reads the hidden states: their class of model, and our task.

    Args:
        task: ours
        names: a table of tensors, as that of a family
        options: from their settings to options of the task
        settings: from options of the task to settings of theirs
    """

    task: str
    names: str = ""
    options: Callable[[Settings], Options] = lambda _: {}
    settings: Callable[[Options], Options] = lambda _: {}


def causal_heads(bare: str, lm: str, classifier: str) -> dict[str, Head]:
    """Returns the heads of a causal family, by its names of their classes."""
    return {
        bare: Head("Encoder", "", lambda _: {"pooling": "last"}),
        lm: Head(
            "CausalLM",
            "lm_head.weight  head.decoder.weight  untied",
            lambda settings: {"tied": settings.flag("tie_word_embeddings")},
            lambda options: {"tie_word_embeddings": options["tied"]},
        ),
        classifier: Head(
            "SequenceClassification",
            "score.weight  classifier.weight",
            lambda _: {"pooling": "last", "classifier_bias": False},
        ),
    }


@dataclass(frozen=True)
class Family:
    """Models of one `model_type`.

    A table of tensors has a line for each: theirs, then ours. `{}` stands for the number of a layer, `*` for weight and
    bias. Several of ours, joined by +, are one of theirs, one after another; `turned` says that theirs is (in, out),
    `untied` that it is there only where the head does not share the matrix of the embedding, `maybe` that not every
    model has it, `widens` that it leads from the width of the embeddings to that of the hidden states: where these are
    one, it is the identity, and ours is not there.

    Args:
        model_type: how config.json names the family
        prefix: what stands before the names of the backbone's tensors in a model with a head
        names: tensors of the backbone, ours without `backbone.`
        heads: by their class of model
        defaults: settings that config.json may leave out
        backbone: from their settings to ours
        settings: from ours to theirs; what it cannot say is found by reading it back
        ignored: tensors of theirs that hold nothing learned
    """

    model_type: str
    prefix: str
    names: str
    heads: Mapping[str, Head]
    backbone: Callable[[Settings], BackboneConfig]
    settings: Callable[[BackboneConfig], Options]
    defaults: Options = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def tensors(
        self, head: Head, config: BackboneConfig, *, tied: bool = False, prefixed: bool = True
    ) -> Iterator[Pair]:
        """Yields every tensor that a model may have, under its whole names.

        Args:
            head: of the model
            config: of its backbone
            tied: whether the head has the matrix of the embedding
            prefixed: whether their names have the prefix; those of a bare backbone have it not
        """
        blocks = config.num_layer_groups or config.num_layers
        for table, theirs, ours in ((self.names, self.prefix, "backbone."), (head.names, "", "")):
            for pair in pairs(table, blocks, tied):
                name = theirs + pair.theirs
                yield replace(
                    pair,
                    theirs=name if prefixed else name.removeprefix(self.prefix),
                    ours=tuple(ours + own for own in pair.ours),
                )
