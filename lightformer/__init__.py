"""Transformers out of registered parts, trained with Lightning.

    from lightformer import Backbone, BackboneConfig, attention, load, register

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lightformer.registry import KINDS, register

if TYPE_CHECKING:
    from lightformer.backbone import Backbone
    from lightformer.backbone_config import BackboneConfig
    from lightformer.loading import load
    from lightformer.plugins import load_plugins

__version__ = "0.1.0"
__all__ = ["Backbone", "BackboneConfig", "load", "load_plugins", "register"]

_LAZY = {
    "Backbone": "backbone",
    "BackboneConfig": "backbone_config",
    "load": "loading",
    "load_plugins": "plugins",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"lightformer.{_LAZY[name]}"), name)
    if name in (*KINDS, "tasks", "data"):
        return importlib.import_module(f"lightformer.{name}")
    raise AttributeError(f"module 'lightformer' has no attribute {name!r}")
