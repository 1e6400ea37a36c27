"""A checkpoint with an adapter as one without: what it learnt, folded into the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lightformer.adapter import AdapterSpec
from lightformer.backbone import Backbone
from lightformer.backbone_config import BackboneConfig
from lightformer.plain import from_plain

BODY = "backbone."


def merged(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a checkpoint whose weights are plain ones; the same one where there is no adapter.

    Args:
        checkpoint: as `lightformer.checkpoint.read_checkpoint` gives it
    """
    options, state = checkpoint["hyper_parameters"], checkpoint["state_dict"]
    if options.get("adapter") is None:
        return checkpoint
    config = from_plain(BackboneConfig, options["backbone"], "backbone")
    adapter = from_plain(AdapterSpec, options["adapter"], "adapter")()
    own = {k.removeprefix(BODY): v for k, v in state.items() if k.startswith(BODY)}
    with torch.random.fork_rng():
        backbone = Backbone(config, options["vocabulary"]["size"])
        adapter.attach(backbone)
    backbone.load_state_dict(own, assign=True)
    adapter.merge(backbone)
    others = {k: v for k, v in state.items() if not k.startswith(BODY)}
    return {
        "state_dict": {BODY + k: v for k, v in backbone.state_dict().items()} | others,
        "hyper_parameters": {**options, "adapter": None, "freeze": None},
        "lightformer": checkpoint["lightformer"],
    }
