"""No positions."""

from __future__ import annotations

from lightformer.position import NoPosition
from lightformer.registry import register

register("position", "none")(NoPosition)
