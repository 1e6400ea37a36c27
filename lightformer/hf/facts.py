"""What decides the results of a backbone, so that two can be compared."""

from __future__ import annotations

from typing import Any

from lightformer.backbone_config import BackboneConfig
from lightformer.registry import Spec


def facts(config: BackboneConfig) -> dict[str, Any]:
    """All that decides what a backbone computes, each thing said in one way alone."""
    sizes = config.dimensions()
    found: dict[str, Any] = {
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "num_layer_groups": config.num_layer_groups or config.num_layers,
        "embedding_size": config.embedding_size or config.hidden_size,
        "num_heads": config.num_heads,
        "head_dim": sizes.head_dim,
        "intermediate_size": sizes.intermediate_size,
        "max_seq_len": config.max_seq_len,
        "num_segments": config.num_segments,
        "is_causal": bool(config.is_causal),
        "scale_embeddings": config.scale_embeddings,
        "norm_embeddings": config.norm_embeddings,
        "norm": _fact(config.norm, config),
        "block": _fact(config.block, config),
        "position": _fact(config.position, config),
    }
    for number in range(config.num_layers):
        for name, spec in config.layer(number)._asdict().items():
            found[f"{name} of layer {number}"] = _fact(spec, config)
    return found


def _fact(spec: Spec, config: BackboneConfig) -> str:
    """A part in words, without its dropout, which changes no result."""
    name, options = spec.name, {k: v for k, v in spec.options().items() if k != "dropout"}
    if spec.kind == "attention":
        heads = options.pop("num_kv_heads", None)
        if heads not in (None, config.num_heads):
            options["num_kv_heads"] = heads
        name = "mha" if name == "gqa" else name  # which is gqa with as many heads
    inside = ", ".join(
        f"{k}={_fact(v, config) if isinstance(v, Spec) else v}" for k, v in sorted(options.items())
    )
    return f"{name}({inside})" if inside else name
