"""Llama (Touvron et al., 2023, arXiv:2302.13971; Grattafiori et al., 2024, arXiv:2407.21783)."""

from __future__ import annotations

from typing import Any

from lightformer import attention, block, feedforward, norm
from lightformer.backbone_config import BackboneConfig
from lightformer.hf.family import Family, causal_heads
from lightformer.hf.rope import read_rope, write_rope
from lightformer.hf.settings import MOST_LAYERS, THEIR_ACTIVATIONS, Settings, activation

NAMES = """
embed_tokens.weight                  embeddings.token.weight
layers.{}.input_layernorm.*          blocks.{}.attention_norm.*
layers.{}.self_attn.q_proj.*         blocks.{}.attention.query.*
layers.{}.self_attn.k_proj.*         blocks.{}.attention.key.*
layers.{}.self_attn.v_proj.*         blocks.{}.attention.value.*
layers.{}.self_attn.o_proj.*         blocks.{}.attention.output.*
layers.{}.post_attention_layernorm.* blocks.{}.feedforward_norm.*
layers.{}.mlp.gate_proj.*            blocks.{}.feedforward.gate.*
layers.{}.mlp.up_proj.*              blocks.{}.feedforward.input.*
layers.{}.mlp.down_proj.*            blocks.{}.feedforward.output.*
norm.*                               norm.*
"""


def backbone(settings: Settings) -> BackboneConfig:
    settings.only(pretraining_tp=1)
    heads = settings.whole("num_attention_heads")
    max_seq_len = settings.whole("max_position_embeddings")
    rope = dict(settings.table("rope_scaling") or settings.table("rope_parameters"))
    rope.setdefault("partial_rotary_factor", settings.get("partial_rotary_factor"))
    if (trained_on := settings.get("original_max_position_embeddings")) is not None:
        rope["original_max_position_embeddings"] = trained_on
    return BackboneConfig(
        hidden_size=settings.whole("hidden_size"),
        num_layers=settings.whole("num_hidden_layers", most=MOST_LAYERS),
        num_heads=heads,
        head_dim=settings.whole("head_dim", settings.whole("hidden_size") // heads),
        intermediate_size=settings.whole("intermediate_size"),
        max_seq_len=max_seq_len,
        is_causal=True,
        attention=attention.gqa(
            num_kv_heads=settings.whole("num_key_value_heads", heads),
            bias=settings.flag("attention_bias"),
            dropout=settings.share("attention_dropout"),
        ),
        position=read_rope(rope, settings["rope_theta"], max_seq_len, settings.where),
        feedforward=feedforward.gated(
            activation=activation(settings, "hidden_act"), bias=settings.flag("mlp_bias")
        ),
        norm=norm.rms_norm(eps=settings.number("rms_norm_eps")),
        block=block.pre_norm(),
    )


def settings(config: BackboneConfig) -> dict[str, Any]:
    attends, changes = config.attention.options(), config.feedforward.options()
    sizes = config.dimensions()
    rope = write_rope(config.position)
    scaled = {k: v for k, v in rope.items() if k != "rope_theta"}
    return {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": attends.get("num_kv_heads", config.num_heads),
        "head_dim": sizes.head_dim,
        "intermediate_size": sizes.intermediate_size,
        "max_position_embeddings": config.max_seq_len,
        "attention_bias": attends.get("bias", False),
        "attention_dropout": attends.get("dropout", 0.0),
        "hidden_act": THEIR_ACTIVATIONS[changes.get("activation", "silu")],
        "mlp_bias": changes.get("bias", False),
        "rms_norm_eps": config.norm.options().get("eps", 1e-6),
        "rope_theta": rope["rope_theta"],
        "rope_scaling": scaled if rope["rope_type"] != "default" else None,
        "rope_parameters": rope,
    }


FAMILY = Family(
    model_type="llama",
    prefix="model.",
    names=NAMES,
    heads=causal_heads("LlamaModel", "LlamaForCausalLM", "LlamaForSequenceClassification"),
    defaults={
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": False,
    },
    backbone=backbone,
    settings=settings,
    ignored=("*rotary_emb.inv_freq",),
)
