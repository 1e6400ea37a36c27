"""jsonargparse's and Lightning's messages, reduced to one sentence.

`check` answers most mistakes before these libraries see them; what is left are values of a wrong
type and what is amiss inside the Trainer. An unforeseen message is only put on one line.
"""

from __future__ import annotations

import re

from lightformer.catalogue.index import Catalogue, unknown
from lightformer.cli.short_form import choice_of

_NOISE = re.compile(
    r"Does not validate against any of the Union|^\s*Subtypes: |^\s*Errors:$"
    r"|Expected a <class 'NoneType'>|Given value( type)?: |^\s*$"
    r"|Expected a path but .* either not accessible"
)
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
}


def explain(message: str, catalogue: Catalogue) -> str:
    """Returns what a parser's message says, in one sentence."""
    key = _key(message)
    owner = (re.findall(r"given class_path '([\w.]+)'", message) or [""])[-1].rpartition(".")[2]
    if m := re.search(r"Importing '([\w.]+)' is not allowed", message):
        return (
            f"--{key}: {m[1]} is not imported; only classes of lightformer, lightning, torch "
            f"and of loaded plugins are."
        )
    if m := re.search(r"the following arguments are required: (.*)", message):
        return f"--{key}: {owner or 'the command'} needs {m[1].strip()}, which has no default."
    if m := re.search(r"Option '([\w.]+)' is not accepted", message):
        return f"--{key}: {owner or key} has no option {m[1]!r}."
    if m := re.search(r"Expected a dot import path string: ([\w.]+)", message):
        if kind := choice_of(key.rpartition(".")[2]):
            sentence = unknown(kind, m[1], catalogue.names(kind))
            return f"--{key}: {sentence[0].lower()}{sentence[1:]}"
        return (
            f"--{key}: there is no class {m[1]!r}; write where it is, "
            f"as in lightning.pytorch.callbacks.Timer."
        )
    if m := re.search(r"argument (--[\w.]+)\S*: expected one argument", message):
        return f"{m[1]} needs a value."
    if wanted := _wanted(message):
        return f"--{key} must be {wanted}{_given(message)}."
    lines = [line.strip(" -") for line in message.splitlines() if not _NOISE.search(line)]
    return re.sub(r"[Pp]arser key \"([\w.]+)\":\s*", r"--\1: ", " ".join(lines)).rstrip(".") + "."


def _key(message: str) -> str:
    keys = (key.split(".") for key in re.findall(r'Parser key "([\w.]+)"', message))
    return ".".join(part for parts in keys for part in parts if part != "init_args")


def _wanted(message: str) -> str:
    """The types that would be right, in words."""
    found = []
    for kind, values in re.findall(
        r"Expected a <class '(\w+)'>|typing\.Literal\[([^\]]*)\](?:\n|$)", message
    ):
        if kind in _TYPES:
            found.append(_TYPES[kind])
        elif values:
            found += [value.strip(" '") for value in values.split(",")]
    words = list(dict.fromkeys(found))
    return (
        words[0]
        if len(words) == 1
        else " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
    )


def _given(message: str) -> str:
    """`, but is VALUE`, where the message tells."""
    texts = re.findall(r"Got value: (.*)|Given value: (.*)", message)
    values = [
        re.sub(r"^NestedArg\(key='[\w.]*', val=(.*)\)$", r"\1", a or b).strip(" '")
        for a, b in texts
    ]
    short = [value for value in values if not value.startswith(("{", "Namespace("))]
    return f", but is {short[0]!r}" if short else ""


NO_GPU = "--trainer.accelerator: no GPU was found on this machine; use cpu, or auto."
_LIGHTNING = {
    r"No supported gpu backend found|Accelerator`? can not run on your system": NO_GPU,
    r"requested gpu: (\[.*?\]).*?(?:only|available:?) (\[.*?\])": (
        r"--trainer.devices: GPUs \1 were asked for, but this machine has \2."
    ),
    r"`Trainer\(devices='?(.*?)'?\)` value is not a valid input using (\w+)": (
        r"--trainer.devices must be a whole number above 0 for the \2, but is \1."
    ),
    r"invalid accelerator name: `accelerator='(.*?)'`": (
        r"--trainer.accelerator: there is no accelerator '\1'; use cpu, gpu, mps, tpu or auto."
    ),
    r"strategy `(\w+)` requires a GPU accelerator": (
        r"--trainer.strategy: \1 needs a GPU, but this run is on the CPU; use auto or ddp."
    ),
    r"invalid strategy name: `strategy='(.*?)'`": (
        r"--trainer.strategy: there is no strategy '\1'; use auto, ddp, ddp_spawn or fsdp."
    ),
    r"`val_check_interval` \((\d+)\) must be less than or equal to the number of the training "
    r"batches \((\d+)\)": (
        r"--trainer.val_check_interval must be at most the number of batches in an epoch, but \1 "
        r"is more than \2; with --trainer.check_val_every_n_epoch null it counts over all epochs."
    ),
}


def explain_lightning(message: str) -> str | None:
    """Returns a sentence for a message of Lightning's that is known, else None."""
    text = " ".join(message.split()).rstrip(".")
    for pattern, sentence in _LIGHTNING.items():
        if m := re.search(pattern, text):
            return m.expand(sentence)
    return None
