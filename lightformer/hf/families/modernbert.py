"""ModernBERT (Warner et al., 2024, arXiv:2412.13663): an encoder with local and global layers."""

from __future__ import annotations

from typing import Any

from lightformer import attention, block, feedforward, norm
from lightformer.backbone_config import BackboneConfig, LayerPattern
from lightformer.errors import CheckpointError
from lightformer.hf.family import Family, Head
from lightformer.hf.rope import read_rope, write_rope
from lightformer.hf.settings import MOST_LAYERS, THEIR_ACTIVATIONS, Settings, activation

NAMES = """
embeddings.tok_embeddings.weight  embeddings.token.weight
embeddings.norm.*                 embeddings.norm.*
layers.{}.attn_norm.*             blocks.{}.attention_norm.*  maybe
layers.{}.attn.Wqkv.*             blocks.{}.attention.query.* + blocks.{}.attention.key.* + blocks.{}.attention.value.*
layers.{}.attn.Wo.*               blocks.{}.attention.output.*
layers.{}.mlp_norm.*              blocks.{}.feedforward_norm.*
layers.{}.mlp.Wi.*                blocks.{}.feedforward.gate.* + blocks.{}.feedforward.input.*
layers.{}.mlp.Wo.*                blocks.{}.feedforward.output.*
final_norm.*                      norm.*
"""
LM_HEAD = """
head.dense.*    head.dense.*
head.norm.*     head.norm.*
decoder.bias    head.bias
decoder.weight  head.decoder.weight  untied
"""
CLASSIFIER = """
head.dense.*  pooler.dense.*
head.norm.*   pooler.norm.*
classifier.*  classifier.*
"""
GLOBAL, LOCAL = "full_attention", "sliding_attention"
_POOLING = {"cls": "first", "mean": "mean"}


def backbone(settings: Settings) -> BackboneConfig:
    settings.only(  # each where lightformer has none by itself
        embedding_dropout=0.0, attention_dropout=0.0, rope_scaling={}
    )
    max_seq_len = settings.whole("max_position_embeddings")
    options = {"bias": settings.flag("attention_bias")}
    rope = Settings(settings.table("rope_parameters"), {}, settings.where)
    kinds = {
        GLOBAL: LayerPattern(
            attention=attention.mha(**options),
            position=read_rope(
                rope.table(GLOBAL), settings["global_rope_theta"], max_seq_len, settings.where
            ),
        ),
        LOCAL: LayerPattern(
            attention=attention.sliding_window(
                window=settings.whole("local_attention") // 2, **options
            ),
            position=read_rope(
                rope.table(LOCAL), settings["local_rope_theta"], max_seq_len, settings.where
            ),
        ),
    }
    whole = kinds[GLOBAL]
    assert whole.attention is not None
    assert whole.position is not None
    return BackboneConfig(
        hidden_size=settings.whole("hidden_size"),
        num_layers=settings.whole("num_hidden_layers", most=MOST_LAYERS),
        num_heads=settings.whole("num_attention_heads"),
        intermediate_size=settings.whole("intermediate_size"),
        max_seq_len=max_seq_len,
        is_causal=False,
        norm_embeddings=True,
        attention=whole.attention,
        position=whole.position,
        pattern=[kinds[kind] for kind in _period(_layer_types(settings))],
        feedforward=feedforward.gated(
            activation=activation(settings, "hidden_activation"),
            bias=settings.flag("mlp_bias"),
            dropout=settings.share("mlp_dropout"),
        ),
        norm=norm.layer_norm(eps=settings.number("norm_eps"), bias=settings.flag("norm_bias")),
        block=block.pre_norm(first_norm=False),
    )


def _layer_types(settings: Settings) -> list[str]:
    every, layers = (
        settings.whole("global_attn_every_n_layers"),
        settings.whole("num_hidden_layers", most=MOST_LAYERS),
    )
    found = settings.get("layer_types", [LOCAL if i % every else GLOBAL for i in range(layers)])
    if (
        not isinstance(found, list)
        or len(found) != layers
        or any(k not in (GLOBAL, LOCAL) for k in found)
    ):
        raise CheckpointError(
            f"{settings.where} must have {layers} layer_types, each {GLOBAL} or {LOCAL}, but has {found}."
        )
    return found


def _period(kinds: list[str]) -> list[str]:
    """The shortest beginning that, repeated, makes the whole."""
    for length in range(1, len(kinds)):
        if all(kind == kinds[i % length] for i, kind in enumerate(kinds)):
            return kinds[:length]
    return kinds


def settings(config: BackboneConfig) -> dict[str, Any]:
    layers = [config.layer(i) for i in range(config.num_layers)]
    local = [layer for layer in layers if layer.attention.name == "sliding_window"]
    whole = [layer for layer in layers if layer.attention.name != "sliding_window"]
    attends = config.attention.options()
    changes, norms = config.feedforward.options(), config.norm.options()
    ropes = {
        kind: write_rope(found[0].position)
        for kind, found in ((GLOBAL, whole), (LOCAL, local))
        if found
    }
    window = local[0].attention.options()["window"] if local else 64
    return {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.dimensions().intermediate_size,
        "max_position_embeddings": config.max_seq_len,
        "attention_bias": attends.get("bias", False),
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "mlp_dropout": changes.get("dropout", 0.0),
        "mlp_bias": changes.get("bias", False),
        "hidden_activation": THEIR_ACTIVATIONS[changes.get("activation", "gelu")],
        "norm_eps": norms.get("eps", 1e-5),
        "norm_bias": norms.get("bias", False),
        "layer_types": [LOCAL if layer in local else GLOBAL for layer in layers],
        "local_attention": 2 * window,
        "global_rope_theta": ropes.get(GLOBAL, {}).get("rope_theta", 160_000.0),
        "local_rope_theta": ropes.get(LOCAL, {}).get("rope_theta", 10_000.0),
        "rope_parameters": ropes,
    }


def _head_options(settings: Settings) -> dict[str, Any]:
    settings.only(decoder_bias=True)
    return {
        "tied": settings.flag("tie_word_embeddings"),
        "head_activation": activation(settings, "classifier_activation"),
        "head_bias": settings.flag("classifier_bias"),
    }


def _head_settings(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "tie_word_embeddings": options["tied"],
        "classifier_activation": THEIR_ACTIVATIONS[options["head_activation"]],
        "classifier_bias": options["head_bias"],
    }


def _classifier_options(settings: Settings) -> dict[str, Any]:
    return {
        "pooling": settings.one_of("classifier_pooling", _POOLING),
        "pooler": True,
        "pooler_activation": activation(settings, "classifier_activation"),
        "pooler_bias": settings.flag("classifier_bias"),
        "pooler_norm": True,
        "classifier_dropout": settings.share("classifier_dropout"),
    }


def _classifier_settings(options: dict[str, Any]) -> dict[str, Any]:
    theirs = {ours: name for name, ours in _POOLING.items()}
    return {
        "classifier_pooling": theirs.get(options["pooling"], "cls"),
        "classifier_activation": THEIR_ACTIVATIONS[options["pooler_activation"]],
        "classifier_bias": options["pooler_bias"],
        "classifier_dropout": options["classifier_dropout"],
    }


FAMILY = Family(
    model_type="modernbert",
    prefix="model.",
    names=NAMES,
    heads={
        "ModernBertModel": Head("Encoder", "", lambda _: {"pooling": "first"}),
        "ModernBertForMaskedLM": Head("MaskedLM", LM_HEAD, _head_options, _head_settings),
        "ModernBertForSequenceClassification": Head(
            "SequenceClassification", CLASSIFIER, _classifier_options, _classifier_settings
        ),
    },
    defaults={
        "hidden_activation": "gelu",
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "mlp_bias": False,
        "mlp_dropout": 0.0,
        "local_attention": 128,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
        "classifier_pooling": "cls",
        "classifier_activation": "gelu",
        "classifier_bias": False,
        "classifier_dropout": 0.0,
        "tie_word_embeddings": True,
    },
    backbone=backbone,
    settings=settings,
)
