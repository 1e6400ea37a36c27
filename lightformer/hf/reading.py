"""From a folder of `transformers` to a checkpoint of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightformer.backbone_config import BackboneConfig
from lightformer.errors import CheckpointError, ConfigError, did_you_mean
from lightformer.hf.families import FAMILIES
from lightformer.hf.family import Family, Head
from lightformer.hf.folder import SETTINGS, TOKENIZER, read_json, read_tensors
from lightformer.hf.names import pairs
from lightformer.hf.settings import Settings
from lightformer.plain import to_plain
from lightformer.special_tokens import GENERATION, SPELLINGS, named_in
from lightformer.tokenizer import Tokenizer
from lightformer.vocabulary import Vocabulary

_SENSELESS = (
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    ZeroDivisionError,
    RuntimeError,
)
"""What settings raise that are of another type than they should be."""

_EXACT = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def read_folder(path: str | Path, format: int) -> dict[str, Any]:
    """Returns a folder of `transformers` as what `torch.load` gives of a checkpoint of ours.

    Args:
        path: with config.json and model.safetensors, and tokenizer.json where there is one
        format: of the checkpoint

    Raises:
        CheckpointError: it is damaged, or lightformer has no such model.
    """
    folder = Path(path)
    family, architecture, settings = find_family(folder)
    head = family.heads[architecture]
    tokenizer = read_tokenizer(folder)
    try:
        config = family.backbone(settings)
        options = head.options(settings)
        vocabulary = _vocabulary(settings, tokenizer, head, folder)
        tied = bool(options.get("tied"))
        state = translate(read_tensors(folder), family, head, config, tied, str(folder))
    except CheckpointError:
        raise
    except (*_SENSELESS, ConfigError) as error:
        raise CheckpointError(f"{folder / SETTINGS} makes no sense: {error}") from error
    return {
        "state_dict": state,
        "hyper_parameters": {
            "vocabulary": to_plain(vocabulary),
            "backbone": to_plain(config),
            **options,
        },
        "lightformer": {
            "format": format,
            "task": head.task,
            "plugins": {},
            "tokenizer": None if tokenizer is None else tokenizer.to_json(),
            "origin": _origin(folder, family, settings),
        },
    }


def find_family(folder: Path) -> tuple[Family, str, Settings]:
    """Returns the family of a folder's model, its class there, and its settings.

    Raises:
        CheckpointError: lightformer does not know it.
    """
    where = folder / SETTINGS
    values = read_json(where)
    kind = values.get("model_type")
    if "quantization_config" in values:
        raise CheckpointError(
            f"{where} is of a quantized model, and lightformer reads weights that are numbers as they are; take the "
            "model before it was quantized."
        )
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise CheckpointError(
            f"{where} is of the model_type {kind!r}, and lightformer reads {', '.join(FAMILIES)}."
            f"{did_you_mean(str(kind), FAMILIES)}"
        )
    family = FAMILIES[kind]
    named = values.get("architectures") or next(iter(family.heads))
    name = named[0] if isinstance(named, list) else named
    if not isinstance(name, str) or name not in family.heads:
        raise CheckpointError(
            f"{where} is of the class {name}, and lightformer reads {', '.join(family.heads)}."
        )
    return family, name, Settings(values, family.defaults, str(where))


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """Returns the tokenizer of a folder, where it has a tokenizer.json."""
    file = folder / TOKENIZER
    return Tokenizer.from_file(file) if file.is_file() else None


def _origin(folder: Path, family: Family, settings: Settings) -> dict[str, Any]:
    """What only the family's own folders have a place for, so that it can be written again."""
    file = folder / GENERATION
    return {
        "model_type": family.model_type,
        "ids": {k: v for k, v in settings.values.items() if k.endswith("_token_id")},
        "generation": read_json(file) if file.is_file() else None,
    }


def _vocabulary(
    settings: Settings, tokenizer: Tokenizer | None, head: Head, folder: Path
) -> Vocabulary:
    size = int(settings["vocab_size"])
    named = named_in(folder)
    if tokenizer is None:
        said = {role: named[role][0] for role in SPELLINGS if named.get(role)}
        ids = {role: i for role, i in said.items() if isinstance(i, int) and 0 <= i < size}
        known = Vocabulary(size, **{"pad_id": settings.get("pad_token_id", 0), **ids})
    else:
        known = replace(tokenizer.vocabulary, size=size, word_starts=())
        if len(tokenizer) > size:
            raise CheckpointError(
                f"{settings.where} has a vocabulary of {size} tokens, but the tokenizer.json beside it one of "
                f"{len(tokenizer)}; they are not of the same model."
            )
    if head.task == "CausalLM":
        ends = [i for i in named.get("eos_id", ()) if isinstance(i, int) and i != known.eos_id]
        begins = () if tokenizer is None else tokenizer.prompt_ids
        known = replace(known, stop_ids=tuple(ends), prompt_ids=begins)
    if head.task != "SequenceClassification":
        return known
    settings.only(problem_type="single_label_classification")
    names: Mapping[str, str] = settings.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    return replace(known, labels=tuple(names[key] for key in sorted(names, key=int)))


def translate(
    tensors: Mapping[str, Tensor],
    family: Family,
    head: Head,
    config: BackboneConfig,
    tied: bool,
    where: str,
) -> dict[str, Tensor]:
    """Returns their tensors under our names.

    Raises:
        CheckpointError: some are missing or left over; each is named.
    """
    given = {_modern(name): tensor for name, tensor in tensors.items()}
    prefix = family.prefix if any(name.startswith(family.prefix) for name in given) else ""
    blocks = config.num_layer_groups or config.num_layers
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for pair in pairs(family.names, blocks):
        name = prefix + pair.theirs
        if name in given:
            used.add(name)
            state |= {f"backbone.{ours}": part for ours, part in pair.read(given[name]).items()}
    for pair in pairs(head.names, blocks, tied):
        name = pair.theirs if prefix else pair.theirs.removeprefix(family.prefix)
        if name in given:
            used.add(name)
            state |= pair.read(given[name])
    if odd := [name for name in used if given[name].dtype not in _EXACT]:
        raise CheckpointError(
            f"{where} has {odd[0]} as {str(given[odd[0]].dtype).removeprefix('torch.')}, but weights must be float32, "
            "float16, bfloat16 or float64."
        )
    known = used | set(_of_other_heads(family, blocks))
    left = [name for name in given if name not in known]
    if left := [name for name in left if not any(fnmatch(name, p) for p in family.ignored)]:
        raise CheckpointError(
            f"{where} holds tensors for which this model has no place: {', '.join(left)}."
        )
    return state


def _of_other_heads(family: Family, blocks: int) -> Iterator[str]:
    """Tensors that a published folder may hold besides those of the class that it names."""
    for head in family.heads.values():
        for pair in pairs(head.names, blocks):
            yield pair.theirs
            yield pair.theirs.removeprefix(family.prefix)


def their_name(path: str | Path) -> Callable[[str], str]:
    """Returns a function from our name of a tensor to that in a folder."""
    family, architecture, settings = find_family(Path(path))
    config = family.backbone(settings)
    blocks = config.num_layer_groups or config.num_layers
    names = {
        own + ours: prefix + pair.theirs
        for table, prefix, own in (
            (family.names, family.prefix, "backbone."),
            (family.heads[architecture].names, "", ""),
        )
        for pair in reversed(list(pairs(table, blocks)))
        for ours in pair.ours
    }
    return lambda name: names.get(name, name)


def _modern(name: str) -> str:
    """Old folders call weight and bias of a norm gamma and beta."""
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")
