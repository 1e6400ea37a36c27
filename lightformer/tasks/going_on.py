"""A run that goes on from a checkpoint with other options than it began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightformer.errors import CheckpointError


def take_new_options(checkpoint: dict[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Puts the options of today into the optimizer state of a checkpoint, which would else undo them.

    Args:
        checkpoint: of a run; its optimizer state is changed in place
        now: hyper-parameters of the model that goes on

    Returns:
        What differs, a line for each.

    Raises:
        CheckpointError: the optimizer is another one, whose state the checkpoint does not have.
    """
    before = checkpoint.get("hyper_parameters", {})
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


def _set(checkpoint: dict[str, Any], option: str, old: Any, new: Any) -> None:
    for state in checkpoint.get("optimizer_states", []):
        for group in state["param_groups"]:
            if option == "weight_decay" and group.get(option) != old:
                continue  # a group that does not decay
            if option in group:
                group[option] = tuple(new) if isinstance(new, list) else new
            if option == "lr":
                group["initial_lr"] = new
    for state in checkpoint.get("lr_schedulers", []):
        if option == "lr" and "base_lrs" in state:
            state["base_lrs"] = [new] * len(state["base_lrs"])
