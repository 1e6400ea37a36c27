"""Rotary positions: their settings and ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightformer import position, scaling
from lightformer.errors import CheckpointError
from lightformer.hf.settings import Settings
from lightformer.position import PositionSpec
from lightformer.scaling import ScalingSpec

_YARN = ("factor", "original_max_seq_len", "beta_fast", "beta_slow", "attention_factor")
_LLAMA3 = ("factor", "original_max_seq_len", "low_freq_factor", "high_freq_factor")
OPTIONS: dict[str, tuple[str, ...]] = {"linear": ("factor",), "yarn": _YARN, "llama3": _LLAMA3}
"""The kinds of scaling that both know, with the options of each."""

_THEIRS = {"original_max_seq_len": "original_max_position_embeddings"}


def read_rope(
    values: Mapping[str, Any], theta: float, max_seq_len: int, where: str
) -> PositionSpec:
    """Returns our position.

    Args:
        values: `rope_parameters`, or `rope_scaling` as it was called before
        theta: base of the wavelengths, where `values` has none
        max_seq_len: what the model was trained on before, where `values` does not say
        where: the file, for messages

    Raises:
        CheckpointError: it has a rule that lightformer has not.
    """
    given = {k: v for k, v in values.items() if v is not None}
    theta = Settings({"rope_theta": theta, **given}, {}, where).number("rope_theta")
    kind = given.pop("rope_type", given.get("type", "default"))
    given.pop("type", None)
    given.pop("rope_theta", None)
    if kind == "default":
        return position.rope(rope_theta=float(theta))
    if not isinstance(kind, str) or kind not in OPTIONS:
        raise CheckpointError(
            f"{where} has rotary positions of the type {kind!r}, and lightformer has default, {', '.join(OPTIONS)}."
        )
    if given.get("partial_rotary_factor") == 1:
        del given["partial_rotary_factor"]
    if "original_max_seq_len" in OPTIONS[kind]:
        given.setdefault("original_max_position_embeddings", max_seq_len)
    else:
        given.pop("original_max_position_embeddings", None)  # it does not ask for it
    known = {_THEIRS.get(name, name): name for name in OPTIONS[kind]}
    if unknown := sorted(set(given) - set(known)):
        raise CheckpointError(
            f"{where} scales rotary positions with {unknown[0]} {given[unknown[0]]!r}, which lightformer has not."
        )
    inside = Settings(given, {}, where)
    options = {known[name]: inside.number(name) for name in given}
    spec: ScalingSpec = getattr(scaling, kind)(**options)
    return position.rope(rope_theta=float(theta), scaling=spec)


def write_rope(spec: PositionSpec) -> dict[str, Any]:
    """Returns their `rope_parameters`; what they cannot say is left out."""
    options = spec.options()
    found: dict[str, Any] = {"rope_type": "default", "rope_theta": options.get("rope_theta", 1e4)}
    rule = options.get("scaling")
    if rule is not None and rule.name in OPTIONS:
        found["rope_type"] = rule.name
        found |= {_THEIRS.get(k, k): v for k, v in rule.options().items() if v is not None}
    return found
