"""A run that goes on from a checkpoint with other options than it began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightformer.errors import CheckpointError
from lightformer.tasks.layer_rates import SHARE

SETTLED = {"freeze": None, "layer_lr_decay": 1.0, "adapter": None}
"""Options that say what learns, and so what the optimizer remembers; with their defaults."""


def take_new_options(checkpoint: dict[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Puts the options of today into the optimizer state of a checkpoint, which would else undo them.

    Args:
        checkpoint: of a run; its optimizer state is changed in place
        now: hyper-parameters of the model that goes on

    Returns:
        What differs, a line for each.

    Raises:
        CheckpointError: the optimizer is another one, or has other parameters, whose state the checkpoint does not
            have.
    """
    before = checkpoint.get("hyper_parameters", {})
    _refuse_other_parameters(before, now)
    changed = []
    for part in ("optimizer", "schedule"):
        old, new = before.get(part, {}), now.get(part, {})
        if part == "optimizer" and old.get("name") != new.get("name"):
            raise CheckpointError(
                f"A run goes on with the optimizer that it began with, but the checkpoint has that of "
                f"{old.get('name')} and the config asks for {new.get('name')}; start anew from its backbone with "
                f"--model.init_from."
            )
        for option in sorted(set(old) | set(new)):
            if old.get(option) != new.get(option):
                changed.append(
                    f"{part}.{option} was {old.get(option)}; the run goes on with {new.get(option)}"
                )
                if part == "optimizer":
                    _set(checkpoint, option, old.get(option), new.get(option))
    return changed


def _refuse_other_parameters(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for option, default in SETTLED.items():
        old, new = (options.get(option) or default for options in (before, now))
        if old != new:
            raise CheckpointError(
                f"A run goes on with the parameters that it began with, but its {option} was {old} and the config "
                f"asks for {new}; start anew from its weights with --model.init_from."
            )


def _set(checkpoint: dict[str, Any], option: str, old: Any, new: Any) -> None:
    for state in checkpoint.get("optimizer_states", []):
        for group in state["param_groups"]:
            if option == "weight_decay" and group.get(option) != old:
                continue  # a group that does not decay
            if option in group:
                group[option] = tuple(new) if isinstance(new, list) else new
            if option == "lr":
                group["lr"] = group["initial_lr"] = new * group.get(SHARE, 1.0)
    for optimizer, state in zip(
        checkpoint.get("optimizer_states", []), checkpoint.get("lr_schedulers", []), strict=False
    ):
        if option == "lr" and "base_lrs" in state:
            state["base_lrs"] = [group["lr"] for group in optimizer["param_groups"]]
