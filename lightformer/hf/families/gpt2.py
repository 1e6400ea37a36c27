"""GPT-2 (Radford et al., 2019, Language Models are Unsupervised Multitask Learners)."""

from __future__ import annotations

from typing import Any

from lightformer import attention, block, feedforward, norm, position
from lightformer.backbone_config import BackboneConfig
from lightformer.hf.family import Family, causal_heads
from lightformer.hf.settings import MOST_LAYERS, THEIR_ACTIVATIONS, Settings, activation

NAMES = """
wte.weight           embeddings.token.weight
wpe.weight           positions.0.embedding.weight
h.{}.ln_1.*          blocks.{}.attention_norm.*
h.{}.attn.c_attn.*   blocks.{}.attention.query.* + blocks.{}.attention.key.* + blocks.{}.attention.value.*  turned
h.{}.attn.c_proj.*   blocks.{}.attention.output.*    turned
h.{}.ln_2.*          blocks.{}.feedforward_norm.*
h.{}.mlp.c_fc.*      blocks.{}.feedforward.input.*   turned
h.{}.mlp.c_proj.*    blocks.{}.feedforward.output.*  turned
ln_f.*               norm.*
"""


def backbone(settings: Settings) -> BackboneConfig:
    settings.only(
        add_cross_attention=False,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        embd_pdrop=settings.share("resid_pdrop"),
    )
    return BackboneConfig(
        hidden_size=settings.whole("n_embd"),
        num_layers=settings.whole("n_layer", most=MOST_LAYERS),
        num_heads=settings.whole("n_head"),
        intermediate_size=settings.whole("n_inner", 4 * settings.whole("n_embd")),
        max_seq_len=settings.whole("n_positions"),
        is_causal=True,
        dropout=settings.share("resid_pdrop"),
        attention=attention.mha(dropout=settings.share("attn_pdrop")),
        position=position.learned(),
        feedforward=feedforward.mlp(activation=activation(settings, "activation_function")),
        norm=norm.layer_norm(eps=settings.number("layer_norm_epsilon")),
        block=block.pre_norm(),
    )


def settings(config: BackboneConfig) -> dict[str, Any]:
    return {
        "n_embd": config.hidden_size,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.dimensions().intermediate_size,
        "n_positions": config.max_seq_len,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention.options().get("dropout", 0.0),
        "activation_function": THEIR_ACTIVATIONS[
            config.feedforward.options().get("activation", "gelu")
        ],
        "layer_norm_epsilon": config.norm.options().get("eps", 1e-5),
    }


FAMILY = Family(
    model_type="gpt2",
    prefix="transformer.",
    names=NAMES,
    heads=causal_heads("GPT2Model", "GPT2LMHeadModel", "GPT2ForSequenceClassification"),
    defaults={
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "resid_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "attn_pdrop": 0.1,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
    backbone=backbone,
    settings=settings,
    ignored=("*.attn.bias", "*.attn.masked_bias"),
)
