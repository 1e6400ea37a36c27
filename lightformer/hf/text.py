"""Text in a folder of `transformers`: its tokenizer, what its files say of that, its special tokens and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import processors

from lightformer.backbone_config import BackboneConfig
from lightformer.errors import CheckpointError, DataError
from lightformer.hf.family import Family, Head
from lightformer.hf.settings import Settings
from lightformer.special_tokens import (
    BEGIN,
    GENERATION,
    MAP,
    TOKENIZER_CONFIG,
    named_by,
    named_in,
    read_json,
    spelt,
    vocabulary,
)
from lightformer.tokenizer import TOKENIZER, Tokenizer
from lightformer.vocabulary import Vocabulary

Origin = Mapping[str, Any]

CHAT_TEMPLATE = "chat_template.jinja"
"""Where newer folders keep what older ones have in tokenizer_config.json."""


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """Returns the tokenizer of a folder, where it has a tokenizer.json.

    Raises:
        CheckpointError: that holds no tokenizer, or a file beside it is broken.
    """
    file = folder / TOKENIZER
    try:
        return Tokenizer.from_file(file) if file.is_file() else None
    except DataError as error:  # which speaks of the option of a fit
        raise CheckpointError(
            f"{file} is no tokenizer of the tokenizers library ({error.__cause__})."
        ) from error


def read_origin(settings: Settings, family: Family, folder: Path) -> dict[str, Any]:
    """What only the family's own folders have a place for, so that it can be written again.

    Raises:
        CheckpointError: a file is broken.
    """
    files = {name: folder / name for name in (GENERATION, MAP, TOKENIZER_CONFIG)}
    found = {name: read_json(file) for name, file in files.items() if file.is_file()}
    about = {**found.get(MAP, {}), **found.get(TOKENIZER_CONFIG, {})}
    if (template := folder / CHAT_TEMPLATE).is_file():
        try:
            about["chat_template"] = template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{template} cannot be read as text ({error}).") from error
    return {
        "model_type": family.model_type,
        "ids": {k: v for k, v in settings.values.items() if k.endswith("_token_id")},
        "generation": found.get(GENERATION),
        "tokenizer": about,
    }


def read_vocabulary(
    settings: Settings, tokenizer: Tokenizer | None, head: Head | None, folder: Path
) -> Vocabulary:
    """Returns the special tokens of a folder's model, and its labels.

    Args:
        settings: config.json
        tokenizer: of the folder, where it has one
        head: of the model, where it is known
        folder: where these are from

    Raises:
        CheckpointError: they are not of the same model, or are such as lightformer has not.
    """
    task = None if head is None else head.task
    size = settings.whole("vocab_size")
    if settings.get("pad_token_id") is not None:
        settings.whole("pad_token_id", least=0, most=size - 1)
    named = named_in(folder)
    if tokenizer is None:
        known = vocabulary(None, named, size)
        if not known.pads and "pad_token_id" in settings.defaults:
            known = replace(known, pad_id=settings["pad_token_id"], pads=True)
    else:
        known = replace(tokenizer.vocabulary, size=size, word_starts=())
        if len(tokenizer) > size:
            raise CheckpointError(
                f"{settings.where} has a vocabulary of {size} tokens, but the tokenizer.json beside it one of "
                f"{len(tokenizer)}; they are not of the same model."
            )
        before, after = tokenizer.around
        if task == "CausalLM":
            known = replace(known, prompt_ids=tuple(before))
        elif len(before) > 1 or len(after) > 1:
            words = [" ".join(map(tokenizer.token, ids)) or "nothing" for ids in (before, after)]
            raise CheckpointError(
                f"{folder / TOKENIZER} puts {words[0]} in front of a text and {words[1]} behind it, and lightformer "
                "one token at most on each side."
            )
    if task == "CausalLM":
        ends = [i for i in named.get("eos_id", ()) if isinstance(i, int) and i != known.eos_id]
        return replace(known, stop_ids=tuple(ends))
    if task != "SequenceClassification":
        return known
    settings.only(problem_type="single_label_classification")
    return replace(known, labels=settings.labels())


def told(tokenizer: str, known: Vocabulary, config: BackboneConfig, origin: Origin | None) -> Any:
    """Returns tokenizer_config.json: what the model's folder said, as it was, or else what is known.

    Args:
        tokenizer: the content of tokenizer.json
        known: the special tokens
        config: of the backbone
        origin: as `read_origin` gave it, where the model is from a folder
    """
    if said := (origin or {}).get("tokenizer"):
        return said
    begins: list[int | str] = [*known.prompt_ids[:1]]
    named = {**named_by(known), BEGIN: begins}
    words = spelt(tokenizers.Tokenizer.from_str(tokenizer), named)
    types = ["token_type_ids"] if config.num_segments > 1 else []
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "model_max_length": config.max_seq_len,
        **{role: word for role, word in words.items() if word is not None},
    }


def framing(tokenizer: str, head: Head, known: Vocabulary, origin: Origin | None) -> str:
    """Returns tokenizer.json; one of lightformer's own is told to frame a text, which lightformer does by itself.

    Args:
        tokenizer: its content
        head: of the model
        known: the special tokens
        origin: as `read_origin` gave it, where the model is from a folder
    """
    inner = tokenizers.Tokenizer.from_str(tokenizer)
    framed = head.task != "CausalLM" and origin is None and inner.post_processor is None
    if not framed or known.cls_id is None or known.sep_id is None:
        return tokenizer
    cls, sep = inner.id_to_token(known.cls_id), inner.id_to_token(known.sep_id)
    inner.post_processor = processors.TemplateProcessing(
        single=[cls, "$A", sep],
        pair=[cls, "$A", sep, "$B:1", f"{sep}:1"],
        special_tokens=[(cls, known.cls_id), (sep, known.sep_id)],
    )
    return inner.to_str(pretty=True)
