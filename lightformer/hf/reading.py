"""From a folder of `transformers` to a checkpoint of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.checks import check_weights
from lightformer.errors import CheckpointError, ConfigError, did_you_mean
from lightformer.hf.families import FAMILIES
from lightformer.hf.family import Family, Head
from lightformer.hf.folder import SETTINGS, read_tensors
from lightformer.hf.names import Pair, identity
from lightformer.hf.settings import Settings
from lightformer.hf.text import read_origin, read_tokenizer, read_vocabulary
from lightformer.plain import to_plain
from lightformer.special_tokens import read_json
from lightformer.vocabulary import Vocabulary

_TIED = {"head.decoder.weight": "backbone.embeddings.token.weight"}

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
    head = family.heads.get(architecture)
    tokenizer = read_tokenizer(folder)
    tensors = {_modern(name): tensor for name, tensor in read_tensors(folder).items()}
    try:
        config = family.backbone(settings)
        settings.only(is_causal=config.is_causal)
        options = {} if head is None else head.options(settings)
        known = read_vocabulary(settings, tokenizer, head, folder)
        state = translate(tensors, family, head, config, options, str(folder))
        _check_backbone(config, known, state, folder)
    except ConfigError as error:
        raise CheckpointError(f"{settings.where} makes no sense: {error}") from error
    return {
        "state_dict": state,
        "hyper_parameters": {
            "vocabulary": to_plain(known),
            "backbone": to_plain(config),
            **options,
        },
        "lightformer": {
            "format": format,
            "task": architecture if head is None else head.task,
            **({"refused": _other_class(settings, architecture, family)} if head is None else {}),
            "plugins": {},
            "tokenizer": None if tokenizer is None else tokenizer.to_json(),
            "origin": read_origin(settings, family, folder),
        },
    }


def _check_backbone(
    config: BackboneConfig, known: Vocabulary, state: Mapping[str, Tensor], folder: Path
) -> None:
    """Compares what is there with what the settings say, before a model of that size is made."""
    blocks = config.num_layer_groups or config.num_layers
    if blocks > len(state):
        raise CheckpointError(
            f"{folder / SETTINGS} says that there are {blocks} layers, but the folder has {len(state)} tensors."
        )
    try:
        with torch.device("meta"):
            own = Backbone(config, known.size).state_dict()
    except RuntimeError as error:  # more bytes than can be counted
        raise CheckpointError(f"{folder / SETTINGS} makes no sense: {error}") from error
    check_weights(
        {f"backbone.{name}": value for name, value in own.items()},
        {name: value for name, value in state.items() if name.startswith("backbone.")},
        str(folder),
        their_name(folder),
    )


def find_family(folder: Path) -> tuple[Family, str, Settings]:
    """Returns the family of a folder's model, its class there, which may be unknown, and its settings.

    Raises:
        CheckpointError: lightformer does not know the family.
    """
    where = folder / SETTINGS
    values = read_json(where)
    kind = values.get("model_type")
    if values.get("quantization_config") is not None:
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
    settings = Settings(values, family.defaults, str(where))
    if not isinstance(name, str):
        raise CheckpointError(_other_class(settings, name, family))
    return family, name, settings


def _other_class(settings: Settings, name: object, family: Family) -> str:
    return (
        f"{settings.where} is of the class {name}, and lightformer reads {', '.join(family.heads)}."
    )


def translate(
    tensors: Mapping[str, Tensor],
    family: Family,
    head: Head | None,
    config: BackboneConfig,
    options: dict[str, Any],
    where: str,
) -> dict[str, Tensor]:
    """Returns their tensors under our names; those of a head that is not known keep theirs.

    Args:
        tensors: theirs
        family: of the model
        head: of the model, where it is known
        config: of its backbone
        options: of the task; a bare encoder may turn out to have no pooler, and a head not to be tied
        where: the folder, for messages

    Raises:
        CheckpointError: some are left over, or are no numbers as they are; each is named.
    """
    prefixed = any(name.startswith(family.prefix) for name in tensors)
    known = head or Head("")
    if options.get("tied") and not _is_tied(
        tensors, family.tensors(known, config, prefixed=prefixed)
    ):
        options["tied"] = False  # so does transformers
    wanted = list(family.tensors(known, config, tied=bool(options.get("tied")), prefixed=prefixed))
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    for pair in wanted:
        if pair.theirs not in tensors:
            continue
        tensor = tensors[pair.theirs]
        used.add(pair.theirs)
        if tensor.dtype not in _EXACT:
            raise CheckpointError(
                f"{where} has {pair.theirs} as {str(tensor.dtype).removeprefix('torch.')}, but weights must be "
                "float32, float16, bfloat16 or float64."
            )
        if not pair.widens or config.embedding_size != config.hidden_size:
            state |= pair.read(tensor)
        elif not tensor.equal(identity(pair, config.hidden_size, tensor)):
            raise CheckpointError(
                f"{where} has a {pair.theirs} that changes the embeddings, and lightformer has such a map only where "
                "embedding_size is another than hidden_size."
            )
    if known.task == "Encoder" and not any(name.startswith("pooler.") for name in state):
        options |= {"pooler": False} if "pooler" in options else {}
    left = {name: tensor for name, tensor in tensors.items() if name not in used}
    if head is None:
        return {**state, **{f"theirs.{name}": left[name] for name in left}}
    others = {
        pair.theirs
        for head in family.heads.values()
        for pair in family.tensors(head, config, prefixed=prefixed)
    }
    if odd := [
        name
        for name in left
        if name not in others and not any(fnmatch(name, p) for p in family.ignored)
    ]:
        raise CheckpointError(
            f"{where} holds tensors for which this model has no place: {', '.join(odd)}."
        )
    return state


def _is_tied(tensors: Mapping[str, Tensor], pairs: Iterable[Pair]) -> bool:
    """Whether all tensors that are one in a tied model are equal, as far as they are there."""
    found: dict[str, Tensor] = {}
    for pair in pairs:
        for name in pair.ours if pair.theirs in tensors else ():
            first = found.setdefault(_TIED.get(name, name), tensors[pair.theirs])
            if first.shape != tensors[pair.theirs].shape or bool(
                (first != tensors[pair.theirs]).any()
            ):
                return False
    return True


def their_name(path: str | Path) -> Callable[[str], str]:
    """Returns a function from our name of a tensor to that in a folder."""
    family, architecture, settings = find_family(Path(path))
    head = family.heads.get(architecture, Head(""))
    names: dict[str, str] = {}
    for pair in family.tensors(head, family.backbone(settings)):
        for name in pair.ours:
            names.setdefault(name, pair.theirs)
    return lambda name: names.get(name, name)


def _modern(name: str) -> str:
    """Old folders call weight and bias of a norm gamma and beta."""
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")
