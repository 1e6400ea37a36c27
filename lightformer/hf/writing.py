"""From a checkpoint of ours to a folder of `transformers`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from lightformer.backbone_config import BackboneConfig
from lightformer.errors import CheckpointError, LightformerError, did_you_mean
from lightformer.hf.facts import facts
from lightformer.hf.families import FAMILIES
from lightformer.hf.family import Family, Head
from lightformer.hf.folder import SETTINGS, TENSORS
from lightformer.hf.names import identity
from lightformer.hf.settings import Settings
from lightformer.hf.text import framing, told
from lightformer.plain import from_plain
from lightformer.special_tokens import GENERATION, TOKENIZER_CONFIG
from lightformer.tokenizer import TOKENIZER
from lightformer.vocabulary import Vocabulary


@dataclass(frozen=True)
class Folder:
    """What will stand in a folder.

    Args:
        family: of the model
        architecture: its class there
        settings: config.json
        tensors: model.safetensors
        generation: generation_config.json, where the folder had one that the model came from
        about: tokenizer_config.json, where there is a tokenizer
        tokenizer: tokenizer.json, where there is one
    """

    family: str
    architecture: str
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    generation: dict[str, Any] | None
    about: dict[str, Any] | None
    tokenizer: str | None


def express(
    checkpoint: Mapping[str, Any], defaults: Mapping[str, Any], wanted: str | None, where: str
) -> Folder:
    """Returns a checkpoint as a model of `transformers`.

    Args:
        checkpoint: as it was read
        defaults: of the options that its task has beside those of all
        wanted: `model_type` of the family; by default the one that the model came from, or the first that can
            express it
        where: the file, for messages

    Raises:
        CheckpointError: no family can express it, or not the wanted one; it names what stands in the way.
    """
    if wanted is not None and wanted not in FAMILIES:
        raise CheckpointError(
            f"There is no family {wanted!r}.{did_you_mean(wanted, FAMILIES, 'Families')}"
        )
    own = checkpoint["lightformer"]
    task = own["task"]
    first = (own.get("origin") or {}).get("model_type")
    families = (
        sorted(FAMILIES.values(), key=lambda family: family.model_type != first)
        if wanted is None
        else [FAMILIES[wanted]]
    )
    tried = [
        _Attempt(family, name, head, checkpoint, defaults)
        for family in families
        for name, head in family.heads.items()
        if head.task == task
    ]
    if not tried:
        raise CheckpointError(
            f"{where} is a {task}, for which {wanted or 'no family of transformers'} has no class that lightformer "
            "writes."
        )
    nearest = min(tried, key=lambda attempt: len(attempt.obstacles))
    if nearest.obstacles:
        reasons = "; ".join(nearest.obstacles)
        if wanted is not None:
            raise CheckpointError(
                f"{wanted} cannot express {where}; this stands in the way: {reasons}. Where no family is given, one "
                "that can is looked for."
            )
        raise CheckpointError(
            f"No family of transformers can express {where}. The nearest is {nearest.family.model_type}, where this "
            f"stands in the way: {reasons}."
        )
    return nearest.folder()


class _Attempt:
    """One family and class, tried on a checkpoint."""

    def __init__(
        self,
        family: Family,
        architecture: str,
        head: Head,
        checkpoint: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> None:
        given = checkpoint["hyper_parameters"]
        self.family, self.architecture, self.head = family, architecture, head
        self.state: Mapping[str, Tensor] = checkpoint["state_dict"]
        self.config = from_plain(BackboneConfig, given["backbone"], "backbone")
        self.vocabulary = from_plain(Vocabulary, given["vocabulary"], "vocabulary")
        own = {name: given[name] for name in defaults if name in given}
        self.defaults, self.options = defaults, {**defaults, **own}
        self.settings: dict[str, Any] = {}
        own = checkpoint["lightformer"]
        self.tokenizer, self.origin = own.get("tokenizer"), own.get("origin")
        self.obstacles = list(self._obstacles())

    def _obstacles(self) -> Iterator[str]:
        name = self.family.model_type
        try:
            self.settings = {
                **self.family.settings(self.config),
                **self.head.settings(self.options),
            }
            theirs = Settings(self.settings, self.family.defaults)
            config, options = self.family.backbone(theirs), self.head.options(theirs)
        except (LightformerError, KeyError) as error:
            yield f"it cannot be said in the settings of {name} ({error})"
            return
        ours, back = facts(self.config), facts(config)
        for key, value in ours.items():
            if back.get(key) != value:
                yield f"{key} is {value}, and for {name} it is {back.get(key)}"
        there = {**self.defaults, **options}
        for key, value in self.options.items():
            if "dropout" not in key and there.get(key) != value:
                yield f"{key} is {value}, and for {name} it is {there.get(key)}"
        pad = self.settings.get("pad_token_id", self.vocabulary.pad_id)
        if pad != self.vocabulary.pad_id:
            yield f"the id of padding is {self.vocabulary.pad_id}, and for {name} it is {pad}"

    def folder(self) -> Folder:
        tensors: dict[str, Tensor] = {}
        used: set[str] = set()
        lacking: list[str] = []
        tied, bare = bool(self.options.get("tied")), self.head.task == "Encoder"
        for pair in self.family.tensors(self.head, self.config, tied=tied, prefixed=not bare):
            if all(name in self.state for name in pair.ours):
                again = bool(used & set(pair.ours))  # no two tensors of a file may share memory
                used |= set(pair.ours)
                tensor = pair.write(self.state)
                tensors[pair.theirs] = tensor.clone() if again else tensor
            elif pair.widens:
                like = next(iter(self.state.values()))
                tensors[pair.theirs] = identity(pair, self.config.hidden_size, like)
            elif pair.needed:
                lacking.append(pair.theirs)
        if lacking:
            raise CheckpointError(
                f"A {self.architecture} needs tensors that this model has not: {', '.join(lacking)}."
            )
        if left := sorted(set(self.state) - used):
            raise CheckpointError(
                f"A {self.architecture} has no place for these tensors: {', '.join(left)}."
            )
        text, known, origin = self.tokenizer, self.vocabulary, self.origin
        return Folder(
            self.family.model_type,
            self.architecture,
            self._settings(),
            tensors,
            (self.origin or {}).get("generation"),
            None if text is None else told(text, known, self.config, origin),
            None if text is None else framing(text, self.head, known, origin),
        )

    def _settings(self) -> dict[str, Any]:
        known = self.vocabulary
        names = dict(enumerate(known.labels))
        begins = known.prompt_ids[0] if known.prompt_ids else known.cls_id
        ends = known.end_ids if len(known.end_ids) > 1 else known.eos_id
        origin = self.origin or {}
        same = origin.get("model_type") == self.family.model_type
        return {
            "architectures": [self.architecture],
            "model_type": self.family.model_type,
            "vocab_size": known.size,
            "pad_token_id": known.pad_id if known.pads else None,
            "bos_token_id": begins,
            "eos_token_id": ends,
            "cls_token_id": known.cls_id,
            "sep_token_id": known.sep_id,
            **(origin["ids"] if same else {}),
            **self.settings,
            "dtype": str(next(iter(self.state.values())).dtype).removeprefix("torch."),
            **(
                {
                    "id2label": {str(number): label for number, label in names.items()},
                    "label2id": {label: number for number, label in names.items()},
                }
                if names
                else {}
            ),
        }


def write_folder(folder: Folder, to: Path) -> None:
    """Writes a folder that `from_pretrained` loads.

    Args:
        folder: what stands in it
        to: an empty folder
    """
    _write_json(folder.settings, to / SETTINGS)
    save_file(folder.tensors, to / TENSORS, metadata={"format": "pt"})
    shutil.copymode(to / SETTINGS, to / TENSORS)  # else nobody but the owner may read it
    if folder.generation is not None:
        _write_json(folder.generation, to / GENERATION)
    if folder.about is not None:
        _write_json(folder.about, to / TOKENIZER_CONFIG)
    if folder.tokenizer is not None:
        (to / TOKENIZER).write_text(folder.tokenizer, encoding="utf-8")


def _write_json(value: Mapping[str, Any], to: Path) -> None:
    to.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
